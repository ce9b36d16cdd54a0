"""Asks, as the protocol has them: every one for another slot, by another person, with a request id of its own."""

import itertools

BATCH = 1_000


class Slots:
    def __init__(self, offices, days):
        self.offices = [b"\x12%c%b" % (len(name), name.encode()) for name in offices]
        self.days = [b"\x1a\x0a%b\x20\x01" % str(day).encode() for day in days]


PEOPLE = itertools.count()
BIRTHS = [b"%02d%02d%02d" % birth for birth in itertools.product(range(1, 29), range(1, 13), range(100))]


def asks(slots, count):
    """RegisterRequests. References have 20 characters, as those of `kuota-loadtest`."""
    offices, days, births = slots.offices, slots.days, BIRTHS
    for person in itertools.islice(PEOPLE, count):
        spread = person * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        rest, serial = divmod(person, 9_999)
        yield b"\x0a\x24%08x-%04x-4%03x-8000-%012x%b%b\x2a\x28\x0a\x10617101%b%04d\x12\x14r%019d" % (
            spread >> 32, spread >> 16 & 0xFFFF, spread & 0xFFF, person,
            offices[(spread >> 20) % len(offices)], days[(spread >> 8) % len(days)],
            births[rest % len(births)], serial + 1, person)


def batches(slots, count):
    """RegisterBatchRequests of a thousand asks each."""
    for _ in range(count):
        yield b"".join(b"\x0a%b%b" % (varint(len(ask)), ask) for ask in asks(slots, BATCH))


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])


def is_grant(body):
    return body[5:6] == b"\x0a"


def is_sold_out(body):
    # Field 2, its length, then field 1 of the refusal: the reason, 1.
    at = 7 if body[6:7] < b"\x80" else 8
    return body[5:6] == b"\x12" and body[at:at + 2] == b"\x08\x01"


def is_batch_of_grants(body):
    """Every item is a registration: its field 2, after the request id."""
    at, items, end = 5, 0, len(body)
    while at < end and body[at] == 0x0A:
        length, at = body[at + 1], at + 2
        if length > 127:
            length, at = length & 127 | body[at] << 7, at + 1
        if length > 16_383 or body[at + 38] != 0x12:
            return False
        at, items = at + length, items + 1
    return items == BATCH
