"""What a process remembers of the claims that it verified: their campaigns, with all that they traced.

A campaign is used again if the call has the same fingerprint. What changed while its first call ran, such as
a counter in the user's code, is no part of that.
"""

from dataclasses import dataclass
from typing import Any

from backproof.numerics.effort import EFFORT
from backproof.numerics.tracing import FORMS
from backproof.verification.campaign import Campaign
from backproof.verification.fingerprint import Fingerprint, Place


@dataclass(frozen=True, eq=False)
class _Remembered:
    """Holds a campaign, the call that made it, and the parts of its fingerprint."""

    call: dict[str, Any]
    parts: dict[Place, Any]
    held: list[Any]
    campaign: Campaign

    def fits(self, now: Fingerprint) -> bool:
        """Return whether a fingerprint has the same parts."""
        return now.is_whole and all(
            place in now.parts and now.parts[place] == part for place, part in self.parts.items()
        )


_REMEMBERED: list[_Remembered] = []


def forget() -> None:
    """Free what `verify` keeps from call to call: traced and compiled programs of the last claims."""
    _REMEMBERED.clear()
    FORMS.clear()


def recalled(call: dict[str, Any], now: Fingerprint) -> Campaign | None:
    """Return the campaign of an earlier call with the same fingerprint, if there is one.

    It may yet trace the objects of that call at other shapes, so they must not have changed either.

    Args:
        call: the arguments of the call.
        now: its fingerprint.
    """
    for one in [one for one in _REMEMBERED if one.fits(now)]:
        _REMEMBERED.remove(one)
        same = all(call[name] is value for name, value in one.call.items())
        if same or one.fits(Fingerprint(**one.call)):
            _REMEMBERED.append(one)
            return one.campaign
    return None


def remember(campaign: Campaign, call: dict[str, Any], before: Fingerprint) -> None:
    """Keep a campaign for later calls; where there are many, the one that was used least recently is freed.

    Args:
        campaign: the campaign, after its first verification.
        call: the arguments of the call.
        before: the fingerprint of the call before that.
    """
    after = Fingerprint(**call) if before.is_whole else before
    if not after.is_whole:
        return
    same = {place: part for place, part in before.parts.items() if after.parts.get(place) == part}
    _REMEMBERED.append(_Remembered(call, same, before.held, campaign))
    del _REMEMBERED[: -EFFORT.campaigns]
