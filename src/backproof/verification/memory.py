"""What a process remembers of the claims that it verified: their campaigns, with all that they traced.

A campaign is used again if the call has the same fingerprint. What changed while its first call ran, such as
a counter in the user's code, is no part of that.
"""

from typing import Any, NamedTuple

from backproof.numerics.effort import EFFORT
from backproof.verification.campaign import Campaign
from backproof.verification.fingerprint import Fingerprint, Place


class _Remembered(NamedTuple):
    """Holds a campaign, and the parts of the fingerprint by which it is found again."""

    parts: dict[Place, Any]
    held: list[Any]
    campaign: Campaign


_REMEMBERED: list[_Remembered] = []


def forget() -> None:
    """Free what `verify` keeps from call to call: traced and compiled programs of the last claims.

    It is needed only where a claim changed in a way that its fingerprint cannot show, as in an object of a
    class whose attributes were changed, or to free memory.
    """
    _REMEMBERED.clear()


def recalled(now: Fingerprint) -> Campaign | None:
    """Return the campaign of an earlier call with the same fingerprint, if there is one."""
    for one in _REMEMBERED:
        if all(now.parts.get(place, _REMEMBERED) == part for place, part in one.parts.items()):
            _REMEMBERED.remove(one)
            _REMEMBERED.append(one)
            return one.campaign
    return None


def remember(campaign: Campaign, before: Fingerprint, after: Fingerprint) -> None:
    """Keep a campaign for later calls; where there are many, the one that was used least recently is freed.

    Args:
        campaign: the campaign, after its first verification.
        before: the fingerprint of the call before that.
        after: the fingerprint of the same call now.
    """
    same = {place: part for place, part in before.parts.items() if after.parts.get(place) == part}
    campaign.evaluators.release()
    _REMEMBERED.append(_Remembered(same, before.held, campaign))
    del _REMEMBERED[: -EFFORT.campaigns]
