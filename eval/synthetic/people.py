"""Appearance of people: body, clothes, hair and skin, generated from the number of an identity."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from eval.synthetic.body import Build
from eval.synthetic.patterns import Colour, Paint

T = TypeVar("T")

_SKINS: tuple[Colour, ...] = (
    *((244, 208, 182), (232, 186, 154), (214, 162, 126), (178, 124, 88), (132, 88, 62), (92, 60, 44)),
)
_HAIRS: tuple[Colour, ...] = (
    *((34, 28, 26), (62, 42, 30), (104, 68, 40), (186, 142, 84), (140, 64, 34), (168, 166, 164)),
)
_CLOTHS: tuple[Colour, ...] = (
    *((196, 48, 44), (224, 120, 40), (232, 190, 60), (84, 148, 68), (34, 104, 84), (62, 148, 176)),
    *((44, 84, 168), (36, 48, 92), (116, 72, 150), (204, 96, 140), (122, 82, 54), (196, 176, 140)),
    *((236, 234, 228), (170, 172, 176), (92, 96, 104), (40, 42, 48)),
)
_LEGS: tuple[Colour, ...] = (
    *(
        (52, 70, 112),
        (84, 108, 150),
        (38, 40, 46),
        (104, 100, 94),
        (180, 160, 126),
        (110, 84, 60),
        (64, 78, 62),
    ),
)
_SHOES: tuple[Colour, ...] = (
    *((236, 234, 232), (44, 42, 44), (110, 72, 46), (190, 52, 46), (60, 96, 160), (228, 200, 70)),
)
_KITS: tuple[tuple[Colour, Colour, str, Colour], ...] = (  # shirt, second colour, pattern, shorts
    ((188, 36, 44), (240, 238, 232), "plain", (238, 236, 230)),
    ((40, 78, 168), (240, 240, 240), "stripes", (34, 44, 88)),
    ((238, 238, 234), (36, 36, 42), "sash", (38, 40, 46)),
    ((36, 116, 76), (238, 214, 74), "hoops", (238, 236, 230)),
)
_PATTERNS = (
    "plain",
    "plain",
    "hoops",
    "stripes",
    "checks",
    "chest band",
    "halves",
    "open",
    "buttons",
    "logo",
)
_HAIR_STYLES = ("short", "short", "long", "ponytail", "bun", "receding", "bald", "curly")
_LEG_STYLES = ("trousers", "trousers", "trousers", "shorts", "skirt", "dress")
_EXTRAS = ("none", "none", "backpack", "shoulder bag", "cap", "beanie", "scarf")
TEAM_EVERY = 4  # two of TEAM_EVERY consecutive identities wear the same team kit


@dataclass(frozen=True)
class PersonAppearance:
    """The appearance of one person in all videos."""

    build: Build
    skin: Paint
    head: Paint
    shirt: Paint
    sleeve: Paint
    legs: Paint
    shoe: Paint
    hair: Paint
    extra_paint: Paint
    hair_style: str
    leg_style: str  # "trousers", "shorts", "skirt", "dress"
    extra: str  # one of _EXTRAS
    coat: float  # length of the upper garment below the hips, in units of 0.4 m
    glasses: bool

    @property
    def long_sleeves(self) -> bool:
        return self.sleeve.cut > 1

    @cached_property
    def cuff(self) -> Paint:
        """Return the paint of the forearm: cloth up to the wrist, or skin."""
        return replace(self.sleeve, cut=0.94, number=None) if self.long_sleeves else self.skin

    @cached_property
    def shirt_plain(self) -> Paint:
        """Return the paint of the shoulders, too small for a pattern."""
        return replace(self.shirt, pattern="plain", number=None)

    @cached_property
    def hips(self) -> Paint:
        """Return the paint of hips or skirt: the cloth of the legs without a cut."""
        return replace(self.legs, cut=3.0)

    @cached_property
    def shins(self) -> Paint:
        """Return the paint of the lower legs: trousers down to the shoe, or skin."""
        trousers = self.leg_style == "trousers"
        return replace(self.legs, cut=0.97, under=self.shoe.colour) if trousers else self.skin


def appearance_of(person: int, seed: int) -> PersonAppearance:
    """Return the appearance of an identity; the same number and seed give the same person.

    Of `TEAM_EVERY` consecutive identities two wear the same kit and differ in face, hair, shoes and number.
    """
    rng = np.random.default_rng([seed, person, 1])
    appearance = _random_appearance(rng)
    if person % TEAM_EVERY in (1, 2):
        return _in_kit(appearance, person, rng, seed)
    return appearance


def _pick(rng: np.random.Generator, options: tuple[T, ...]) -> T:
    return options[int(rng.integers(len(options)))]


def _random_appearance(rng: np.random.Generator) -> PersonAppearance:
    skin, hair, cloth = _pick(rng, _SKINS), _pick(rng, _HAIRS), _pick(rng, _CLOTHS)
    other = _pick(rng, tuple(c for c in _CLOTHS if _distance(c, cloth) > 120))
    leg_cloth = _pick(rng, tuple(c for c in _LEGS if _distance(c, cloth) > 50))
    hair_style, leg_style, extra = _pick(rng, _HAIR_STYLES), _pick(rng, _LEG_STYLES), _pick(rng, _EXTRAS)
    pattern = _pick(rng, _PATTERNS)
    cut = float(_pick(rng, (0.55, 0.6, 3.0, 3.0)))  # T-shirt or long sleeves
    shirt = Paint(_vary(rng, cloth), other, pattern, float(rng.uniform(0.16, 0.3)))
    if leg_style == "dress":
        leg_cloth = shirt.colour
    sleeve_pattern = pattern if pattern in ("hoops", "checks") else "plain"
    cut_legs = {"trousers": 3.0, "shorts": 0.72}.get(leg_style, 0.2)
    return PersonAppearance(
        build=Build(
            float(rng.uniform(1.58, 1.92)), float(rng.uniform(0.88, 1.22)), float(rng.uniform(0.9, 1.08))
        ),
        skin=Paint(skin, weave=0),
        head=_head_paint(rng, skin, hair, hair_style),
        shirt=shirt,
        sleeve=replace(shirt, pattern=sleeve_pattern, period=shirt.period * 1.6, cut=cut, under=skin),
        legs=Paint(_vary(rng, leg_cloth), cut=cut_legs, under=skin, weave=0.09),
        shoe=Paint(_pick(rng, _SHOES), weave=0),
        hair=Paint(hair, weave=0.2),
        extra_paint=Paint(_vary(rng, _pick(rng, _CLOTHS)), weave=0.08),
        hair_style=hair_style,
        leg_style=leg_style,
        extra=extra,
        coat=float(_pick(rng, (0.12, 0.12, 0.2, 0.55))) if leg_style == "trousers" else 0.08,
        glasses=bool(rng.random() < 0.2),
    )


def _in_kit(
    appearance: PersonAppearance, person: int, rng: np.random.Generator, seed: int
) -> PersonAppearance:
    shirt, other, pattern, shorts = _KITS[(person // TEAM_EVERY + seed) % len(_KITS)]
    paint = Paint(shirt, other, pattern, 0.26, number=int(rng.integers(1, 10)))
    if pattern in ("stripes", "hoops", "sash"):  # a number in the colour of the pattern would be invisible
        paint = replace(paint, number=None)
    under = appearance.skin.colour
    return replace(
        appearance,
        shirt=paint,
        sleeve=Paint(shirt, other, cut=0.6, under=under),
        legs=Paint(shorts, other, "side seam", cut=0.75, under=under, weave=0.06),
        leg_style="shorts",
        coat=0.12,
        extra="none",
    )


def _head_paint(rng: np.random.Generator, skin: Colour, hair: Colour, style: str) -> Paint:
    hairline = {"receding": 0.3, "bald": 9.0, "curly": -0.02}.get(style, 0.08)
    beard = int(style in ("short", "receding", "bald") and rng.random() < 0.45)
    dark: Colour = (hair[0] * 0.8, hair[1] * 0.8, hair[2] * 0.8)
    return Paint(skin, dark, "head", cut=hairline, under=hair, number=beard)


def _vary(rng: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = (float(np.clip(c + rng.normal(0, 7), 18, 246)) for c in colour)
    return red, green, blue


def _distance(a: Colour, b: Colour) -> float:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))
