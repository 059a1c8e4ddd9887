"""What is told of a process that has gone, while a launcher ends the others."""

import signal

import pytest

from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.joined import joined
from gtn_core.distributed import LostRankError


@pytest.fixture(autouse=True)
def sigterm_interrupts():
    before = signal.getsignal(signal.SIGTERM)
    interrupt_on_sigterm()
    yield
    signal.signal(signal.SIGTERM, before)


def lose_another_and_be_ended(then):
    try:
        try:
            raise LostRankError("connection closed")
        finally:
            signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt as interrupt:
        raise then or interrupt from None


@pytest.mark.parametrize("then", [None, SystemExit(130)])
def test_a_launchers_signal_does_not_hide_that_a_process_has_gone(then):
    with pytest.raises(LostRankError, match="another process of this run has ended"), joined("single"):
        lose_another_and_be_ended(then)
    signal.raise_signal(signal.SIGTERM)  # a second one, while the message is on its way, changes nothing


def test_an_interrupt_stays_one():
    with pytest.raises(KeyboardInterrupt), joined("single"):
        signal.raise_signal(signal.SIGTERM)
