"""The dense sequence: what a stream may look like, and when two ways of reading have read the same (event.proto, log_events.proto)."""

from dataclasses import dataclass
from functools import partial

DELTAS = ("text_delta", "thinking_delta")
# What tells of missing events: no filter hides it.
GAPS = ("omitted", "log_truncated", "history_trimmed")
# The bodies that can cover more than one number.
WIDE = DELTAS + GAPS


def body(event):
    """The name of an event's body; None for one that this client does not know."""
    return event.WhichOneof("body")


def check_stream(report, events, cursor, where):
    """Checks the numbers of what one stream, or all pages of one list, gave behind a cursor."""
    before = None
    for event in events:
        name = body(event)
        span = partial(_span, where, event)
        report.check(1 <= event.first_seq <= event.seq < 2**53, "an event covers a range of numbers from 1 on", span)
        report.check(event.first_seq == event.seq or name in WIDE, "only deltas and gaps cover several numbers", span)
        report.check(event.HasField("time"), "each event says when it was committed", span)
        if before is None:
            held = event.first_seq <= cursor + 1 <= event.seq
            report.check(held, "the sequence is dense", lambda: f"{span()} is the first behind cursor {cursor}")
            if event.first_seq <= cursor:
                report.check(name in DELTAS + ("omitted",), "only a delta or an Omitted range begins at or before the cursor", span)
        else:
            report.check(event.first_seq == before + 1, "the sequence is dense", lambda: f"{span()} follows {before}")
        if name == "omitted":
            report.check(event.omitted.count == event.seq - event.first_seq + 1, "Omitted says how many it hides", span)
        if name == "history_trimmed":
            right = event.history_trimmed.count == event.seq - event.first_seq + 1
            report.check(right and event.first_seq == 1, "HistoryTrimmed stands at the beginning for all that is gone", span)
        before = event.seq


def _span(where, event):
    return f"{where}: {body(event)} {event.first_seq}..{event.seq}"


@dataclass
class Item:
    """An event without what merging changes. Deltas of one block that stand side by side are one item."""

    first_seq: int
    seq: int
    key: tuple
    content: bytes
    offset: int = 0

    @property
    def name(self):
        """The name of the body."""
        return self.key[3]

    def __str__(self):
        return f"{self.name} {self.first_seq}..{self.seq}"


def canonical(events):
    """The events as items: the same list however deltas were merged, and also where a resumed stream began with one again."""
    items = []
    for event in events:
        name = body(event)
        key = (event.run_id, event.step, event.attempt, name)
        if name in DELTAS:
            delta = getattr(event, name)
            item = Item(event.first_seq, event.seq, (*key, delta.block_id), delta.text.encode(), delta.offset)
            _append_delta(items, item)
        elif name == "omitted":
            if items and items[-1].name == "omitted" and items[-1].seq + 1 >= event.first_seq:
                items[-1].seq = event.seq
            else:
                items.append(Item(event.first_seq, event.seq, key, b""))
        else:
            content = getattr(event, name).SerializeToString(deterministic=True) if name else b""
            items.append(Item(event.first_seq, event.seq, (*key, event.time.ToNanoseconds()), content))
    return items


def _append_delta(items, item):
    """Adds a delta: truncates the block to its offset where it overlaps, joins it to what it goes on from."""
    last = items[-1] if items else None
    if last is None or last.key != item.key or item.first_seq > last.seq + 1:
        items.append(item)
    elif last.offset <= item.offset <= last.offset + len(last.content):
        last.content = last.content[: item.offset - last.offset] + item.content
        last.seq = item.seq
    elif item.first_seq <= last.first_seq:
        items[-1] = item
    else:
        items.append(item)


def shows(include, exclude):
    """Which bodies a filter lets through."""
    return lambda name: name in GAPS or ((not include or name in include) and name not in exclude)


def check_same(report, log, events, cursor, where, shown=lambda name: True):
    """Checks that `events`, which were read behind a cursor, say what the whole log (as items) says there, the hidden bodies apart."""
    promise = "every way of reading gives the same log"
    wanted, wanted_hidden = _split(log, cursor, shown)
    got, got_hidden = _split(canonical(events), cursor, lambda name: name != "omitted")
    report.check(wanted_hidden == got_hidden, "Omitted ranges are what the filter hides", lambda: f"{where}: {got_hidden} for {wanted_hidden}")
    for index, (want, have) in enumerate(zip(wanted, got)):
        if not report.check(_agree(want, have, index == 0), promise, lambda: f"{where}: {have} for {want}"):
            return
    report.check(len(wanted) == len(got), promise, lambda: f"{where}: {len(got)} items for {len(wanted)}")


def _split(items, cursor, shown):
    """The shown items behind a cursor, and the ranges of the others."""
    visible, hidden = [], []
    for item in items:
        if item.seq <= cursor:
            continue
        if shown(item.name):
            visible.append(item)
        elif hidden and hidden[-1][1] + 1 == item.first_seq:
            hidden[-1] = (hidden[-1][0], item.seq)
        else:
            hidden.append((max(item.first_seq, cursor + 1), item.seq))
    return visible, hidden


def _agree(want, have, first):
    """Whether an item is the one of the log; the first delta behind a cursor may be a later part of it."""
    if want.key != have.key or want.seq != have.seq:
        return False
    if want.name not in DELTAS:
        return want.first_seq == have.first_seq and want.content == have.content
    if not first and (want.first_seq, want.offset) != (have.first_seq, have.offset):
        return False
    return have.offset >= want.offset and want.content[have.offset - want.offset :] == have.content


def check_overlap(report, known, first, where):
    """Checks that the first event behind a cursor repeats nothing that the reader knows but parts of itself."""
    name = body(first)
    for event in reversed(known):
        if event.seq < first.first_seq:
            break
        same = body(event) == name
        if name in DELTAS and same:
            same = event.run_id == first.run_id and getattr(event, name).block_id == getattr(first, name).block_id
        span = f"{where}: {name} {first.first_seq}..{first.seq} over {body(event)} {event.first_seq}..{event.seq}"
        report.check(same, "a resumed stream repeats parts of its first event alone", span)
