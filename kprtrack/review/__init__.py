"""Review a result: where identities are most at risk, and a local page to correct them.

The page (`kprtrack review`) needs the extra `review`; `risky_moments` does not.

Examples:
    >>> from kprtrack.review import risky_moments
    >>> for moment in risky_moments(read_tracks("tracks.json"))[:3]:
    ...     print(moment.frame, moment.kind, moment.details)
"""

from kprtrack.review.moments import MIN_GAP_S, RiskyMoment, risky_moments

__all__ = ["MIN_GAP_S", "RiskyMoment", "risky_moments"]
