"""Which of the tracked people a result, a video or an export keeps."""

from kprtrack.selection.clicks import Click
from kprtrack.selection.people import EVERYONE, PeopleSelection, select_people

__all__ = ["EVERYONE", "Click", "PeopleSelection", "select_people"]
