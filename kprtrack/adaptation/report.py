"""The report of an adaptation: a table, advice and a model card."""

from dataclasses import dataclass
from pathlib import Path

from kprtrack.adaptation.people import Split
from kprtrack.adaptation.scores import SURE, HeldOutScores

WEIGHTS, CARD = "weights.safetensors", "model_card.md"


@dataclass(frozen=True)
class Adaptation:
    """The result of an adaptation.

    Args:
        out: Its folder.
        split: Who was trained on and who was held out.
        before: Scores of the encoder in the package.
        after: Scores of the adapted encoder.
        better_share: Share of the resamples in which the adapted encoder is better, 0 to 1.
    """

    out: Path
    split: Split
    before: HeldOutScores
    after: HeldOutScores
    better_share: float

    @property
    def better(self) -> bool:
        """Whether the adapted encoder is recommended."""
        return self.after.map > self.before.map and self.better_share >= SURE

    def table(self) -> str:
        """Return the scores before and after, in percent."""
        rows = [("before", self.before), ("after", self.after)]
        lines = [f"{'':<8}{'mAP':>7}{'R1':>8}{'mAP without prompts':>22}"]
        for name, one in rows:
            lines.append(
                f"{name:<8}{100 * one.map:>7.1f}{100 * one.rank1:>8.1f}{100 * one.map_without_prompts:>22.1f}"
            )
        return "\n".join(lines)

    def advice(self) -> str:
        """Return which weights to use, and how."""
        gain = f"{100 * (self.after.map - self.before.map):+.1f} mAP"
        people, sure = len(self.split.held_out), f"{100 * self.better_share:.0f} %"
        if self.better:
            return (
                f"The adapted encoder is better on the {people} held-out people: {gain}, better in {sure} of"
                f" the resamples of them. Use it:\n  {self._command()}"
            )
        return (
            f"The adapted encoder is not better for certain on the {people} held-out people: {gain}, better"
            f" in {sure} of the resamples of them ({100 * SURE:.0f} % are needed). Keep the encoder in the"
            " package:\n  kprtrack VIDEO --out tracks.json"
        )

    def _command(self) -> str:
        return f"kprtrack VIDEO --reid-weights {self.out / WEIGHTS} --out tracks.json"


def model_card(result: Adaptation, sources: list[str], settings: dict[str, object], protocol: str) -> str:
    """Write the card of the adapted encoder in Markdown.

    Args:
        result: The adaptation.
        sources: Names of videos or of the folder of people.
        settings: Of the adaptation.
        protocol: Of the scores.

    Returns:
        The text.
    """
    split = result.split
    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    names = "\n".join(f"- {source}" for source in sources)
    return f"""# small-kpr adapted to own footage

Computes an appearance embedding for each body part of a person, as `small-kpr` does, whose weights the
training started from.

## Data

{names}

{len(split.train)} people for training, {len(split.held_out)} held out before training,
{len(split.left_out)} left out; `steps/split.json` lists them.

Licence: that of small-kpr (research use only), and what the people in the footage have agreed to.

## Training

| setting | value |
|---|---|
{rows}

The weights are the mean of those before and after the training (WiSE-FT, Wortsman et al., CVPR 2022).

## Scores

On the held-out people, protocol `{protocol}`, mAP and rank-1 accuracy in percent:

```
{result.table()}
```

Better in {100 * result.better_share:.0f} % of the resamples of the held-out people. {_verdict(result)}

## Limitations

- The scores hold for footage like this one. On other footage the adapted encoder may be worse than the one
  in the package: compare both with `kprtrack eval reid`.
- It learns clothes and bodies. It does not re-identify people who have changed their clothes; do not use it
  to identify people.
- Identities were taken from tracks or from the folder of people. Errors in them lower the gain.
"""


def _verdict(result: Adaptation) -> str:
    if result.better:
        return f"Recommended for this footage: `--reid-weights {WEIGHTS}`."
    return "Not recommended: the encoder in the package is as good or better."
