"""Calls everything the API has, from Python with grpcio alone.

Once with classes generated from proto/, and once, as grpcurl does, with nothing but what the server's reflection says.

Usage: every_call.py PROTO_DIRECTORY GRPC_ADDRESS ADMIN_ADDRESS
"""

import importlib
import pathlib
import sys
import tempfile
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

OFFICE = "kanim-pontianak"
SERVICES = {
    "RegistrationService": ["Register", "RegisterBatch", "GetRegistration", "Cancel", "ConfirmPayment",
                            "Reschedule", "CheckIn", "Complete"],
    "OfficeService": ["ListOffices"],
    "AvailabilityService": ["ListAvailability", "WatchAvailability"],
    "AdminService": [
        "ApplyCatalog", "GetCatalog", "ScheduleOpening", "SetQuota", "ClearOverride",
        "Pause", "Resume", "ListEvents", "Export", "ListPaymentCases", "ResolvePaymentCase",
        "RescheduleSpecially", "ListDays",
    ],
}


class Api:
    """Every method by its name; requests and answers as dictionaries."""

    def __init__(self, channels, pool):
        self.channels = channels
        self.pool = pool
        self.called = set()

    def call(self, service, method, timeout=10, **request):
        descriptor = self.pool.FindServiceByName(f"kuota.v1.{service}").FindMethodByName(method)
        asked = message_factory.GetMessageClass(descriptor.input_type)
        answered = message_factory.GetMessageClass(descriptor.output_type)
        channel = self.channels["admin" if service == "AdminService" else "grpc"]
        make = channel.unary_stream if descriptor.server_streaming else channel.unary_unary
        stub = make(
            f"/kuota.v1.{service}/{method}",
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
        self.called.add((service, method))
        answer = stub(json_format.ParseDict(request, asked()), timeout=timeout)
        if descriptor.server_streaming:
            return (self.plain(part) for part in answer)
        return self.plain(answer)

    def plain(self, message):
        return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=self.pool)


def generated(proto):
    """Classes generated from proto/, in the default pool."""
    from grpc_tools import protoc

    out = tempfile.mkdtemp()
    found = [*pathlib.Path(proto, "kuota/v1").glob("*.proto"), *pathlib.Path(proto, "google/rpc").glob("*.proto")]
    files = [str(path) for path in sorted(found)]
    well_known = str(pathlib.Path(importlib.import_module("grpc_tools").__file__).parent / "_proto")
    code = protoc.main(
        ["", f"-I{proto}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    )
    assert code == 0, "protoc refuses proto/"
    sys.path.insert(0, out)
    for service in ["registration", "office", "availability", "admin"]:
        importlib.import_module(f"kuota.v1.{service}_service_pb2_grpc")
    importlib.import_module("google.rpc.error_details_pb2")
    return descriptor_pool.Default()


def reflected(channel):
    """What the server says of itself."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert "kuota.v1.AdminService" in database.get_services()
    # Details of errors can be read too.
    database.FindFileContainingSymbol("google.rpc.ErrorInfo")
    return descriptor_pool.DescriptorPool(database)


def command():
    return {"request_id": str(uuid.uuid4()), "actor": "python", "reason": "calls everything"}


def failure(code, call, *arguments, **request):
    try:
        call(*arguments, **request)
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"{arguments} was not refused")


def every_call(api, first_person):
    people = iter(range(first_person, first_person + 4999))

    def ask(date, **more):
        person = {"nik": f"617101010187{next(people):04d}", "reference": "python"}
        return {"request_id": str(uuid.uuid4()), "office_id": OFFICE, "service_date": date,
                "lane": "LANE_REGULAR", "applicants": [person], **more}

    offices = api.call("OfficeService", "ListOffices")["offices"]
    assert OFFICE in [office["id"] for office in offices]
    slots = api.call("AvailabilityService", "ListAvailability", office_id=OFFICE, lane="LANE_REGULAR")["slots"]
    day = [slot["service_date"] for slot in slots if slot["state"] == "SLOT_STATE_OPEN"][1]

    wish = ask(day)
    found = api.call("RegistrationService", "Register", **wish)["registration"]
    again = api.call("RegistrationService", "Register", **wish)["registration"]
    assert found == again and found["durable"]
    assert api.call("RegistrationService", "GetRegistration", code=found["code"])["registration"] == found

    refusal = api.call("RegistrationService", "Register", **ask(day, session="08:00"))["refusal"]
    assert refusal["reason"] == "REFUSAL_REASON_NO_SUCH_SESSION", refusal

    items = api.call("RegistrationService", "RegisterBatch", requests=[ask(day), ask(day, lane=0), wish])["items"]
    assert "registration" in items[0] and items[1]["error"]["code"] == 3 and items[2]["registration"] == found
    details = {detail["@type"].rsplit(".")[-1]: detail for detail in items[1]["error"]["details"]}
    assert details["ErrorInfo"]["reason"] == "INVALID_FIELD", details

    priced = ask(day, lane="LANE_PRIORITY", ground="PRIORITY_GROUND_ELDERLY")
    priced["applicants"][0]["passport_kind"] = "PASSPORT_KIND_ELECTRONIC_10_YEARS"
    assert api.call("RegistrationService", "Register", **priced)["registration"]["fee_rupiah"] == "950000"

    cancelled = api.call("RegistrationService", "Cancel", id=found["id"], reason="python")["registration"]
    assert cancelled["state"] == "REGISTRATION_STATE_CANCELLED"

    watch = api.call("AvailabilityService", "WatchAvailability", office_id=OFFICE, lane="LANE_REGULAR")
    seen = []
    for message in watch:
        if "snapshot_end" in message:
            break
        seen += message["snapshot"]["slots"]
    assert any(slot["slot"]["service_date"] == day for slot in seen)
    quota = {"office_id": OFFICE, "service_date": day, "lane": "LANE_REGULAR"}
    changed = api.call("AdminService", "SetQuota", command=command(), places=130, **quota)
    assert changed["slots"][0]["capacity_after"] == 130
    # What was cancelled a moment ago may be told first.
    told = (slot["slot"] for message in watch for slot in message.get("changes", {}).get("slots", []))
    assert any((slot["service_date"], slot["capacity"]) == (day, 130) for slot in told)
    api.call("AdminService", "ClearOverride", command=command(), **quota)

    pauses = api.call("AdminService", "Pause", command=command(), scope={"service_date": day})["pauses"]
    assert pauses[-1]["actor"] == "python"
    refusal = api.call("RegistrationService", "Register", **ask(day))["refusal"]
    assert refusal["reason"] == "REFUSAL_REASON_PAUSED"
    # The day is paused everywhere: only other days of the office are left.
    alternatives = refusal["alternatives"]
    assert 1 <= len(alternatives) <= 5
    assert all(one["office_id"] == OFFICE and one["service_date"] != day and one["lane"] == "LANE_REGULAR"
               and one["available"] > 0 and "distance_m" not in one for one in alternatives), alternatives
    assert "pauses" not in api.call("AdminService", "Resume", command=command(), scope={"service_date": day})

    catalog = api.call("AdminService", "GetCatalog")["toml"]
    shown = api.call("AdminService", "ApplyCatalog", command=command(), validate_only=True,
                     toml=catalog.replace("places = 120", "places = 121"))
    assert "receipt" not in shown and shown["changes"][0]["after"] == "121"
    applied = api.call("AdminService", "ApplyCatalog", command=command(), toml=catalog)
    assert "changes" not in applied

    error = failure(grpc.StatusCode.INVALID_ARGUMENT, api.call, "AdminService", "ScheduleOpening",
                    command=command(), office_id=OFFICE, service_dates=[day], open_time="2020-01-01T00:00:00Z")
    assert "must be in the future" in error.details()

    unpaid = api.call("RegistrationService", "ConfirmPayment", id=items[0]["registration"]["id"],
                      payment_reference=str(uuid.uuid4()), amount_rupiah=1)
    assert unpaid["refusal"]["reason"] == "REFUSAL_REASON_NO_PAYMENT_DUE"
    assert "payment_cases" not in api.call("AdminService", "ListPaymentCases")
    failure(grpc.StatusCode.NOT_FOUND, api.call, "AdminService", "ResolvePaymentCase",
            command=command(), number=1, refund={})

    later = next(slot["service_date"] for slot in slots if slot["service_date"] > day)
    moved = {"request_id": str(uuid.uuid4()), "id": items[0]["registration"]["id"], "service_date": later}
    there = api.call("RegistrationService", "Reschedule", **moved)["registration"]
    assert (there["service_date"], there["rescheduled_from"]["service_date"]) == (later, day)
    assert api.call("RegistrationService", "Reschedule", **moved)["registration"] == there
    again = {**moved, "request_id": str(uuid.uuid4()), "service_date": day}
    refusal = api.call("RegistrationService", "Reschedule", **again)["refusal"]
    assert refusal["reason"] == "REFUSAL_REASON_ALREADY_RESCHEDULED" and refusal["metadata"]["rescheduled_at_ms"]
    back = api.call("AdminService", "RescheduleSpecially", command=command(), id=there["id"], service_date=day)
    assert back["registration"]["service_date"] == day and len(back["slots"]) == 2

    early = api.call("RegistrationService", "CheckIn", code=there["code"], actor="python")["refusal"]
    assert early["reason"] == "REFUSAL_REASON_TOO_EARLY_TO_CHECK_IN" and early["open_time"]
    refusal = api.call("RegistrationService", "Complete", id=there["id"])["refusal"]
    assert refusal["reason"] == "REFUSAL_REASON_NOT_CHECKED_IN"
    days = api.call("AdminService", "ListDays", office_id=OFFICE, from_date=day, to_date=day)["days"]
    counted = next(count for count in days if count["lane"] == "LANE_REGULAR")
    assert counted["capacity"] == 120 and counted["confirmed"] >= 1 and counted["cancelled"] >= 1

    story = api.call("AdminService", "ListEvents", registration_id=found["id"])["events"]
    assert [event["kind"] for event in story] == ["EVENT_KIND_GRANTED", "EVENT_KIND_CANCELLED"]
    exported = [row for part in api.call("AdminService", "Export", office_id=OFFICE)
                for row in part["registrations"]]
    assert found["code"] in [row["code"] for row in exported]

    expected = {(service, method) for service, methods in SERVICES.items() for method in methods}
    assert api.called == expected, expected ^ api.called
    declared = {(service, method.name) for service in SERVICES
                for method in api.pool.FindServiceByName(f"kuota.v1.{service}").methods}
    assert declared == expected, declared ^ expected


def main():
    proto, address, admin = sys.argv[1:]
    channels = {"grpc": grpc.insecure_channel(address), "admin": grpc.insecure_channel(admin)}
    every_call(Api(channels, generated(proto)), 1)
    print("generated: every call")
    every_call(Api(channels, reflected(channels["grpc"])), 5000)
    print("reflected: every call")


main()
