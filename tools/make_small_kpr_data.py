"""Puts the crops together that the small KPR learns from: a data set of the form `folder`.

    python tools/make_small_kpr_data.py --cuhk03 DIR --cuhk01 DIR --out OUT

train/ holds the 600 training identities of CUHK03 (seed 0) and all 971 of CUHK01; query/ and gallery/ are
CUHK03's other 143, as in `kprtrack eval reid cuhk03`. Crops are linked where the disk can, else copied. Then:

    kprtrack data keypoints folder --root OUT --others ...
    kprtrack data part-labels folder --root OUT
    kprtrack data features folder --root OUT ... --out osnet.safetensors
"""

import argparse
import os
import shutil
from pathlib import Path

from reid.datasets import open_dataset
from reid.datasets.sample import ReidSample


def main() -> None:
    """Fill the folder; crops that are there stay."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("cuhk03", "cuhk01", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    known = open_dataset("cuhk03", options.cuhk03, {})
    more = open_dataset("cuhk01", options.cuhk01, {"train_identities": 0})
    sets = [
        ("train", "cuhk03", known.train),
        ("query", "cuhk03", known.query),
        ("gallery", "cuhk03", known.gallery),
        ("train", "cuhk01", more.query + more.gallery),
    ]
    for folder, source, samples in sets:
        for sample in samples:
            _link(sample.image, options.out / folder / _name(source, sample))
        print(f"{folder}: {len(samples)} crops of {source}")


def _name(source: str, sample: ReidSample) -> str:
    """Person and camera first, as the form `folder` reads them: two sets have four cameras."""
    camera = sample.camera + 2 * (source == "cuhk01")
    return f"{source}-{sample.identity:04d}_c{camera}_{sample.image.name}"


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
