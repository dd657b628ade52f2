"""What the contract says of errors: a code for each reason, and metadata as its comment documents it (error_reason.proto).

The comments are read from the compiled contracts, atoll.binpb, beside the stubs: the documentation itself is what is checked."""

import os
import re

from client import STUBS, error_reason_pb2
from google.protobuf import descriptor_pb2

PREFIX = "ERROR_REASON_"


def _documented():
    """Reason → the names of its metadata, in the comment behind `Metadata:`; one in backquotes may be missing."""
    with open(os.path.join(STUBS, "atoll.binpb"), "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    proto = next(found for found in files.file if found.name == "atoll/error/v1/error_reason.proto")
    comments = {tuple(place.path): place.leading_comments for place in proto.source_code_info.location}
    found = {}
    for index, value in enumerate(proto.enum_type[0].value):
        _, _, text = comments.get((5, 0, 2, index), "").partition("Metadata:")
        shapes = [set(re.findall(r'"(\w+)":', shape)) for shape in re.findall(r"\{[^}]*\}", text)] or [set()]
        found[value.name.removeprefix(PREFIX)] = (shapes, set(re.findall(r"`(\w+)`", text)))
    return found


DOCUMENTED = _documented()


def code_of(reason):
    """The code that goes with a reason, without its prefix; 0 when there is none."""
    value = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(PREFIX + reason)
    return value.GetOptions().Extensions[error_reason_pb2.code] if value else 0


def check_metadata(report, reason, metadata, where, more=()):
    """Checks the facts of a reason against its documentation; `more` are those that an RPC's own comment adds."""
    reason = reason.removeprefix(PREFIX)
    known = reason in DOCUMENTED and reason != "UNSPECIFIED"
    if report.check(known, "a failure has a documented reason", f"{where}: {reason}"):
        shapes, optional = DOCUMENTED[reason]
        names = set(metadata)
        held = any(shape <= names <= shape | optional | set(more) for shape in shapes)
        report.check(held, "metadata is as documented", f"{where}: {reason} with {sorted(names)}, documented {shapes} {optional or ''}")


def check_error(report, error, where="an error"):
    """Checks an error that the mesh answered with."""
    report.check(error.domain == "atoll", "errors are of the domain atoll", f"{where}: {error} of {error.domain!r}")
    report.check(error.code == code_of(error.reason), "each reason has its code", f"{where}: {error}")
    check_metadata(report, error.reason, error.metadata, where, ("before_seq", "after_seq"))
    report.check(bool(error.message), "errors say what happened", where)
    if error.reason == "FIELD_INVALID":
        listed = error.metadata.get("field") in error.field_paths
        report.check(listed, "a broken field is listed", f"{where}: {error.metadata} of {error.field_paths}")


def check_refused(report, error, reason, where, **metadata):
    """Checks that a call was refused, for this reason and with these facts."""
    if not report.check(error is not None, "what must be refused is refused", f"{where}: was taken, not {reason}"):
        return
    report.check(error.reason == reason, "what must be refused is refused", f"{where}: {error}, not {reason}")
    for name, value in metadata.items():
        held = error.metadata.get(name) == str(value)
        report.check(held, "metadata tells the facts", f"{where}: {name} is {error.metadata.get(name)!r}, not {value!r}")
