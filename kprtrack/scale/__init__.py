"""Many videos in several processes or on several machines, on Ray (the extra `ray`)."""

from kprtrack.scale.many import track_many
from kprtrack.scale.tasks import ManySettings, Video

__all__ = ["ManySettings", "Video", "track_many"]
