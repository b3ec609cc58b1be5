"""The words of one concept are the field's own everywhere: former private terms do not come back."""

import re
import subprocess
from pathlib import Path

import pytest
from support import paths

ROOT = paths.ROOT
# The table of former names, the changelog and this test name them; golden data is as it was made.
EXEMPT = ("kprtrack/core/renamed.py", "CHANGELOG.md", "tests/test_terms.py", "tests/golden/", "LICENSE")
EXEMPT += ("tests/kprtrack/io/test_results_version_1.py",)  # reads a file with the former keys
SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".css", ".sh", ""}

# Former term (a pattern) -> the field's term.
TERMS = {
    # Settings and options before version 0.2
    r"\bsettle(_s|s|d)?\b|\bSettling\b": "output_delay_s, finalize",
    r"\bbirth(_\w+)?\b": "new_track_score, min_track_age_s, tentative_match_cost",
    r"\bsprout\w*": "tentative_score",
    r"\bnewcomers?\b|\bnewcomer_\w+": "new track, reid_window_s",
    r"\brecognise_\w+": "reid_max_distance, reid_min_margin, reid_min_updates",
    r"\bveto\w*": "gating",
    r"\bmax_covered\b": "max_occlusion",
    r"\bstrangers?\b|\bstrangers_\w+": "inter-identity",
    r"\bruns_in\b": "backend",
    r"--truth\b|--runtime\b": "--ground-truth, --backend",
    r"`given`|--(detector|pose) given|name=\"given\"": "file",
    # Identifiers
    r"\blooks_of\b|\blooks:|\.looks\b": "embeddings",
    r"\bseen: Observation\b": "observation",
    r"\b_believe\b|\b_recognise\b": "_confirm, _reidentify",
    r"\bperson_of\b|\bNOBODY\b": "track_of_detection, UNMATCHED",
    r"\bHindsight\b|\bhindsight\b": "retroactive correction",
    r"\bDrawnVideo\b|\bdrawn_video\b": "AnnotatedVideoWriter",
    r"\b(_?refuse)(_\w+)\b": "validate_",
    r"\bTrainee\b|\bLearner\b|\bdeciding_settings\b": "TrainStep, TrainState, resume_relevant_config",
    r"\bstand_ins?\b": "pickle_stubs",
    r"\btell_\w+|\bsay\(": "log_, print_",
    r"\bVERBS\b|\bverbs?\b": "subcommand",
    r"\bEMBEDDERS?\b|\b[Ee]mbedders?\b": "ReID encoder",
    r"\bfacts\b(?=\s*[:=(\[])|\.facts\b": "metadata",
    r"\bPart\(": "ComponentConfig",
    r"\bPortraits?\b|\bportraits?\b|\bTailor\b|\bBeside\(": "CropOverlay, GarmentBuilder, AnnotationPaths",
    r"\bpictures?\b": "image, plot, figure",
    # Prose
    r"\blooks\b(?! (?:for|up|like|at|in|the same|alike|different)\b)": "appearance, embedding",
    r"\bin doubt\b|\bdoubtful\b": "tentative, low score",
    r"\bgoes on\b|\bgo on\b|\bwent on\b|\bbroken off\b": "resume, interrupted",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(?<!connection )\brefuse[sd]?\b|\brefusing\b": "reject, validate",
    r"\bstands? in for\b|\bstand-ins?\b": "stub, replace",
    r"\bdrawn video\b": "annotated video",
    r"\bdoubles\b": "duplicates",
    r"\bwho is who\b": "identity",
    r"\bsomebody\b|\beverybody\b": "person, all people",
    r"\bnobody\b": "no person",
    r"\b(is|are|was|were|be) told\b|\btold by\b": "reported, given",
    r"\btells\b(?! (?:people |them )?apart)": "states, reports",
    r"\bsays? (of|about)\b|\bwhat (it|they) says?\b": "output, embedding",
    r"\brecipes?\b": "config",
    r"\blearnt\b": "learned",
    r"\btaught\b": "trained, distilled",
    r"\bwhat the networks? (see|sees|saw)\b|\bthe encoder sees\b": "input of the network",
    r"\bthe truth\b|\btruth\.json\b": "ground truth",
    r"\bwith its truth\b|\bagainst truth\b|\btrue truth\b": "ground truth",
}


def tracked_files() -> list[Path]:
    """The text files of the repository, without those that may name former terms."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git clone")
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    chosen = [name for name in names if not name.startswith(EXEMPT) and Path(name).suffix in SUFFIXES]
    return [ROOT / name for name in chosen if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    """Place and text of every line."""
    return [
        (f"{file.relative_to(ROOT).as_posix()}:{number}", line)
        for file in tracked_files()
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1)
    ]


@pytest.mark.parametrize("pattern", TERMS)
def test_former_terms_are_gone(pattern: str, lines: list[tuple[str, str]]) -> None:
    term = re.compile(pattern)
    found = [f"{place}: {line.strip()}" for place, line in lines if term.search(line)]
    assert not found, f"{len(found)} places; write instead: {TERMS[pattern]}\n" + "\n".join(found[:40])


def test_file_names_have_no_former_terms() -> None:
    term = re.compile("|".join(TERMS))
    names = [file.relative_to(ROOT).as_posix() for file in tracked_files()]
    assert not [name for name in names if term.search(name.replace("/", " ").replace("_", " "))]
