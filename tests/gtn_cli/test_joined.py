"""The report of a lost process while a launcher ends the others."""

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
def test_sigterm_does_not_hide_lost_rank_error(then):
    with pytest.raises(LostRankError, match="another process of this run has ended"), joined("single"):
        lose_another_and_be_ended(then)
    signal.raise_signal(signal.SIGTERM)  # a second one, while the message is being printed, is ignored


def test_interrupt_without_lost_rank_propagates():
    with pytest.raises(KeyboardInterrupt), joined("single"):
        signal.raise_signal(signal.SIGTERM)
