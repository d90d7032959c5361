"""What a network does to connections: between two namespaces, and by a relay.

Two services log at a steady rate while each blow lasts and after it; at the end all
that they logged must be there, once and in order.  A blow is longer than heartbeats
and time-outs in the long form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from tests.faults.namespaces import INGEST, PUBLISH, Cable, connected
from tests.faults.processes import Ingester, Producer, finish, wait_for
from tests.faults.relay import Relay
from tests.faults.report import Figures
from tests.faults.site import Site
from tests.ports import free_port

RATE = 10_000
"""Entries a second of each service."""

HEAL_SECONDS = 60.0
START_SECONDS = 0.5
"""Until what was on its way has arrived."""

Blow = Callable[[Cable], AbstractContextManager[None]]

IN, OUT = "INPUT", "OUTPUT"
DROP = ["-j", "DROP"]
TCP = ["-p", "tcp"]
RESET = ["-j", "REJECT", "--reject-with", "tcp-reset"]


def cut(cable: Cable) -> AbstractContextManager[None]:
    """The cable is pulled out and put back."""
    return cable.down()


def black_hole(cable: Cable) -> AbstractContextManager[None]:
    """Nothing arrives either way, and nobody is told."""
    return cable.firewall(("store", [IN, *DROP]), ("store", [OUT, *DROP]))


def acknowledgements_lost(cable: Cable) -> AbstractContextManager[None]:
    """Batches arrive; what the ingester answers does not."""
    return cable.firewall(("store", [OUT, *TCP, "--sport", str(PUBLISH), *DROP]))


def batches_lost(cable: Cable) -> AbstractContextManager[None]:
    """Acknowledgements arrive; batches don't."""
    return cable.firewall(("send", [OUT, *TCP, "--dport", str(INGEST), *DROP]))


def large_packets_lost(cable: Cable) -> AbstractContextManager[None]:
    """Handshakes and heartbeats pass, batches don't: a broken path MTU."""
    large = [OUT, "-m", "length", "--length", "400:65535", *DROP]
    return cable.firewall(("store", large), ("send", large))


def random_loss(cable: Cable) -> AbstractContextManager[None]:
    """One packet in five, both ways."""
    some = by_chance(0.2)
    return cable.firewall(("store", [IN, *some, *DROP]), ("store", [OUT, *some, *DROP]))


def resets(cable: Cable) -> AbstractContextManager[None]:
    """Connections are reset, again and again as they come back."""
    rule = [IN, *TCP, *by_chance(0.1), *RESET]
    return cable.firewall(("store", rule), ("send", rule))


def throttled(cable: Cable) -> AbstractContextManager[None]:
    """A fraction of what is logged gets through."""
    return cable.throttled("256kbit")


def by_chance(share: float) -> list[str]:
    """Words for a share of the packets."""
    return ["-m", "statistic", "--mode", "random", "--probability", str(share)]


def through_cable(name: str, blow: Blow, folder: Path, *, long: bool) -> Figures:
    """Log through it; the wait is from a blow's end to acknowledgements."""
    with connected(Cable()) as cable:
        site = Site(Ingester(folder, **cable.endpoints()), "--rate", str(RATE))
        cable.move("store", site.ingester)
        cable.move("send", *site.producers)
        silent = blow in SILENT
        return suffer(name, site, partial(blow, cable), long=long, silent=silent)


def control(folder: Path, *, long: bool) -> Figures:
    """Senders that push and forget, through connections that are reset."""
    with connected(Cable()) as cable:
        site = Site(
            Ingester(folder, **cable.endpoints()), "--rate", str(RATE), "--plain"
        )
        cable.move("store", site.ingester)
        cable.move("send", *site.producers)
        found = suffer(
            "  control: plain PUSH, resets",
            site,
            partial(resets, cable),
            long=long,
            silent=False,
        )
    return found._replace(is_control=True, note="")


def through_relay(name: str, mode: str, folder: Path, *, long: bool) -> Figures:
    """As above, over two relays on this machine."""
    ingest, publish = free_port(), free_port()
    ingester = Ingester(
        folder,
        INGEST__ENDPOINT=f"tcp://127.0.0.1:{ingest}",
        PUBLISH__ENDPOINT=f"tcp://127.0.0.1:{publish}",
    )
    with Relay(ingest, seed=1) as there, Relay(publish, seed=2) as back:
        site = Site(ingester, "--rate", str(RATE))
        for producer in site.producers:
            redirect(producer, there.port, back.port)

        @contextmanager
        def blow() -> Iterator[None]:
            there.mode = back.mode = mode
            yield
            there.mode = back.mode = "pass"

        found = suffer(name, site, blow, long=long, silent=mode == "stall")
        assert there.cuts or mode in ("stall", "crumbs"), "no connection was cut"
        return found


def suffer(
    name: str,
    site: Site,
    blow: Callable[[], AbstractContextManager[None]],
    *,
    long: bool,
    silent: bool,
) -> Figures:
    """Blow after blow; between two of them everything must be acknowledged again.

    While a `silent` one lasts nothing is: else it did not happen.
    """
    blows, seconds = (3, 12.0) if long else (1, 0.7)
    slowest, through = 0.0, 0
    with site.running():
        for _ in range(blows):
            site.wait_for_entries(site.progress + RATE // 4)
            with blow():
                time.sleep(START_SECONDS)
                before = _at_rest(site) if silent else site.progress
                time.sleep(seconds)
                through += site.progress - before
            slowest = max(slowest, _healed(site, before))
        finish(site.producers)
        site.note_memory()
        assert site.ingester.stop() == 0
    assert not (silent and through), f"{through} came through"
    return site.verdict().figures(
        name,
        blows,
        peak_mb=site.peak_bytes / 2**20,
        note=f"acknowledged again after {slowest:.1f} s at most",
    )


def _at_rest(site: Site) -> int:
    """The progress once what was under way when the blow fell has come through."""
    end = time.monotonic() + HEAL_SECONDS
    before = site.progress
    while time.monotonic() < end:
        time.sleep(START_SECONDS)
        if site.progress == before:
            break
        before = site.progress
    return before


def _healed(site: Site, before: int) -> float:
    start = time.monotonic()
    wait_for("progress", lambda: site.progress > before + RATE // 2, HEAL_SECONDS)
    return time.monotonic() - start


def redirect(producer: Producer, ingest: int, publish: int) -> None:
    """Have it connect to these ports of this machine."""
    for option, port in (("--endpoint", ingest), ("--publish", publish)):
        place = producer.words.index(option) + 1
        producer.words[place] = f"tcp://127.0.0.1:{port}"


BLOWS: dict[str, Blow] = {
    "network cut": cut,
    "black hole": black_hole,
    "acknowledgements lost": acknowledgements_lost,
    "batches lost": batches_lost,
    "20 % of packets lost": random_loss,
    "connections reset": resets,
    "throttled to 256 kbit/s": throttled,
    "large packets lost": large_packets_lost,
}

SILENT = (cut, black_hole, acknowledgements_lost, batches_lost, large_packets_lost)

MODES = {
    "cut within frames": "cut",
    "half open": "half_open",
    "stalled": "stall",
    "in crumbs of 37 bytes": "crumbs",
}

CABLE = {
    blow.__name__.replace("_", "-"): partial(through_cable, name, blow)
    for name, blow in BLOWS.items()
}
RELAY = {
    f"relay-{mode.replace('_', '-')}": partial(through_relay, name, mode)
    for name, mode in MODES.items()
}
FAULTS = CABLE | {"resets-control": control} | RELAY
