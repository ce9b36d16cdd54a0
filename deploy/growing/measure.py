"""What is measured."""

import shutil
import statistics

from .asks import BATCH, asks, batches, is_batch_of_grants, is_grant, is_sold_out
from .server import DAYS, Server, Turn
from .wire import Crowd, load, throttle

PIECE = 1_000_000  # registrations loaded at once


def measure_offices(size, program, directory):
    """Each number of offices beside one office, taking turns: the machine's own ups and downs meet both."""
    wanted = (1 + size["rounds"]) * (size["grants"] + size["batches"] * BATCH)

    def pair(name, count):
        """With places for all, and without any."""
        places = max(120, 2 * wanted // (count * DAYS))
        return (Server(program, directory, name, [(count, places)]),
                Server(program, directory, name + "-full", [(count, 0)]))

    def round_of(servers):
        free, full = servers
        found = {}
        for kind, messages, is_right, server in [
            ("grant", list(asks(free.free, size["grants"])), is_grant, free),
            ("batch", list(batches(free.free, size["batches"])), is_batch_of_grants, free),
            ("refusal", list(asks(full.full, size["refusals"])), is_sold_out, full),
        ]:
            found[kind] = throttle(server, messages, is_right)
        return found

    for count in size["offices"]:
        rounds = []
        # Where a server's memory lies makes some hundredths of a difference as long as it runs: so there are several.
        for number_of_pair in range(size["pairs"]):
            Turn.take(10)
            one, many = pair(f"one-{count}", 1), pair(f"many-{count}", count)
            if not rounds:
                first_s, rss = many[0].ready_s, many[0].settled_rss()
                again_s = many[0].restart()
            for number in range(1 + size["rounds"]):
                Turn.take(5)
                # Neither is always the second.
                order = [("one", one), ("many", many)][:: 1 if (number + number_of_pair) % 2 else -1]
                found = {name: round_of(servers) for name, servers in order}
                # The first is not counted: a server that has just started has not used its memory yet.
                rounds += [found] if number else []
            for server in [*one, *many]:
                server.stop()
                shutil.rmtree(server.home)
        point = {"offices": count, "first_start_s": first_s, "restart_s": again_s, "rss_bytes": rss,
                 "rounds": rounds}
        for kind in ["grant", "batch", "refusal"]:
            middle = lambda which, what: statistics.median(r[which][kind][what] for r in rounds)
            ratio = lambda what, up: statistics.median(
                (r["many"][kind][what] / r["one"][kind][what]) ** up for r in rounds)
            point[kind] = {"per_s": middle("many", "per_s"), "cpu_us": middle("many", "cpu_us"),
                           "one_per_s": middle("one", "per_s"), "one_cpu_us": middle("one", "cpu_us"),
                           "rate_ratio": ratio("per_s", 1), "cpu_ratio": ratio("cpu_us", -1)}
        yield point


def measure_registrations(size, program, directory):
    """One server that grows. Memory before and after a restart; calls cost what they cost at that size."""
    server = Server(program, directory, "registrations", [(10, 1_000_000), (1, 0)])
    empty = None
    for target in size["registrations"]:
        live = int(server.metric("kuota_registrations"))
        while target - live >= BATCH:
            load(server, min(PIECE, target - live))
            live = int(server.metric("kuota_registrations"))
        replay_s = 3 + live / 700_000
        Turn.take(5 + replay_s)
        rss = server.settled_rss()
        empty = empty or rss
        ready_s = server.restart()
        events, log_bytes = server.events, sum(path.stat().st_size for path in (server.home / "data").iterdir())
        Turn.take(5)
        again = server.settled_rss()
        Turn.take(6 + 1.5 * replay_s)
        cold_s = server.restart(cold=True)
        # Not counted: a server that has just started has not used its memory yet.
        throttle(server, list(asks(server.full, size["crowd"])), is_sold_out)
        refusal = throttle(server, list(asks(server.full, size["refusals"])), is_sold_out)
        grant = throttle(server, list(asks(server.free, size["crowd"])), is_grant)
        each = lambda bytes_: (bytes_ - empty) / live if live else None
        yield {"registrations": live, "rss_bytes": rss, "rss_after_restart_bytes": again,
               "bytes_each": each(rss), "bytes_each_after_restart": each(again), "restart_s": ready_s,
               "restart_cold_s": cold_s, "events": events, "log_bytes": log_bytes, "grant": grant, "refusal": refusal}
    server.stop()
    shutil.rmtree(server.home)


def measure_connections(size, program, directory):
    """Connections that stay open: each is granted a place, then all of them ask at once, one call each at a time."""
    for count in size["connections"]:
        # In one piece: who does not read what the server asks of a silent connection loses it.
        Turn.take(10 + count / 400)
        server = Server(program, directory, f"connections-{count}", [(10, 1_000_000), (10, 0)])
        empty = server.settled_rss()
        crowd = Crowd(server, count)
        first = crowd.drive(asks(server.free, count), is_grant)
        rss = server.settled_rss()
        crowd.tend()
        calls = max(size["crowd"], 2 * count)
        refusal = crowd.drive(list(asks(server.full, calls if count > 1 else calls // 4)), is_sold_out)
        used = server.settled_rss()
        crowd.tend()
        grant = crowd.drive(list(asks(server.free, calls if count > 1 else calls // 20)), is_grant)
        served = crowd.drive(asks(server.full, count), is_sold_out)["served"]
        yield {"connections": count, "first_served": first["served"], "served": served, "empty_bytes": empty,
               "rss_bytes": rss, "rss_used_bytes": used, "bytes_each": (rss - empty) / count,
               "bytes_each_used": (used - empty) / count, "grant": grant, "refusal": refusal}
        crowd.close()
        server.stop()
        shutil.rmtree(server.home)
