"""When the signals that end a run are delivered."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kprtrack.core.signals import STOP_SIGNALS, DeferredInterrupts, StopRequest, interrupt_on_stop_signals


@pytest.fixture(autouse=True)
def python_handlers() -> Iterator[None]:
    """Signals raise KeyboardInterrupt, whatever the test runner has made of them."""
    former = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_delivered_at_the_end_of_the_block(number: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts():
        signal.raise_signal(number)
        done.append("rest of the block")
    assert done == ["rest of the block"]
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with DeferredInterrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_signal_while_an_item_is_used_interrupts_before_the_next_one() -> None:
    used = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts() as interrupts:
        for number in interrupts.allow(range(5)):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            used.append(number)
    assert used == [0, 1, 2]


def test_a_signal_while_an_item_is_produced_interrupts_at_once_and_a_second_one_waits() -> None:
    saved = []

    def items() -> Iterator[int]:
        yield 0
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the first signal was held back")

    with pytest.raises(KeyboardInterrupt), DeferredInterrupts() as interrupts:
        try:
            for _ in interrupts.allow(items()):
                pass
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            saved.append("everything")
    assert saved == ["everything"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_while_python_cleans_up_an_object_interrupts_before_the_next_item() -> None:
    """Python prints and drops exceptions of finalizers, so the KeyboardInterrupt is raised a second time."""

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def items() -> Iterator[int]:
        yield 0
        Finalized()
        yield 1
        pytest.fail("the signal was lost")

    used = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts() as interrupts:
        for number in interrupts.allow(items()):
            used.append(number)
    assert used == [0, 1]


def test_an_inner_block_hands_its_signal_to_the_outer_one() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts():
        with DeferredInterrupts():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_other_threads_leave_the_handlers_alone() -> None:
    seen = []

    def work() -> None:
        with DeferredInterrupts() as interrupts:
            seen.append(signal.getsignal(signal.SIGINT))
            seen.extend(interrupts.allow(range(2)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler, 0, 1]


def test_a_stop_request_interrupts_only_the_second_time() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_every_stop_signal_interrupts_unless_it_is_ignored() -> None:
    for name in ("SIGTERM", "SIGQUIT"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    interrupt_on_stop_signals()
    for number in (signal.SIGTERM, signal.SIGQUIT):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    signal.raise_signal(signal.SIGHUP)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
    assert not stop.asked


MODULE = """
import signal
signal.raise_signal(signal.SIGINT)
value = "the rest of the module"
"""


def test_a_signal_during_an_import_interrupts_when_the_module_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C extensions turn a KeyboardInterrupt of their initialisation into an ImportError."""
    (tmp_path / "signalled_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "signalled_module", raising=False)
    interrupt_on_stop_signals()
    with pytest.raises(KeyboardInterrupt):
        import signalled_module  # type: ignore[import-not-found]

        for _ in range(6000):  # at most a minute, then the test fails
            time.sleep(0.01)
    assert signalled_module.value == "the rest of the module"


def test_a_signal_while_a_producer_imports_interrupts_before_the_next_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signalled_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "signalled_module", raising=False)

    def items() -> Iterator[str]:
        import signalled_module

        yield signalled_module.value
        pytest.fail("the signal was lost")

    used = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts() as interrupts:
        for item in interrupts.allow(items()):
            used.append(item)
    assert used == ["the rest of the module"]
