"""Find a person in tracked videos, by an image with clicks, a box, a mask or keypoints, or by a gallery."""

from kprtrack.finding.encoder import EncoderOfResults, encoder_of, validate_same_encoder
from kprtrack.finding.matches import Match, find_in_gallery, find_in_results
from kprtrack.finding.people import PeopleInImage, PromptedPerson, find_person
from kprtrack.finding.prompt import PersonPrompt
from kprtrack.finding.query import embed_person

__all__ = [
    "EncoderOfResults",
    "Match",
    "PeopleInImage",
    "PersonPrompt",
    "PromptedPerson",
    "embed_person",
    "encoder_of",
    "find_in_gallery",
    "find_in_results",
    "find_person",
    "validate_same_encoder",
]
