"""Results that others published, each with its source, to stand beside ours."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from zeroone_jax.evaluation.plans import PAPER, STRONGEST

_Of = TypeVar("_Of")


class Published(NamedTuple):
    """A result as its authors give it.

    Attributes:
        text: the number, or a range of them.
        source: where it comes from.
    """

    text: str
    source: str


def _of(source: str, texts: Mapping[_Of, str]) -> dict[_Of, Published]:
    """Results of one source."""
    return {of: Published(text, source) for of, text in texts.items()}


_FILES = "result files of the authors' 2021 programs, 8 votes"
_FILES_2020 = "result files of the authors' 2020 programs, 100 votes"
_LIKE_IT = f"{_FILES} of a network like it"
_SENSITIVITY = "the authors' sensitivity runs of 2020, one vote"

PRESETS_0V1 = {
    "paper_2021": _of(_FILES, {"vote": "0.869 / 0.823", "majority": "0.854-0.856"}),
    "paper_2020": _of(_SENSITIVITY, {"vote": "0.861 / 0.817"})
    | _of(_FILES_2020, {"majority": "0.878 (100 votes)"}),
    "scdce": _of(_FILES_2020, {"majority": "0.882 (100 votes)"}),
    "01bnn": _of(_FILES_2020, {"majority": "0.861 (100 votes)"}),
    "cebnn": _of(_FILES_2020, {"majority": "0.8675 (100 votes)"}),
}
"""Accuracies on CIFAR-10, class 0 against 1, by our preset of the same settings:

of a vote on training and test images, and of the majority on test images.
"""

CIFAR10_0V1_MODELS = {
    "mlp01": PRESETS_0V1["paper_2021"]["majority"],
    "mlp01-blind": PRESETS_0V1["paper_2020"]["majority"],
    "scdce": PRESETS_0V1["scdce"]["majority"],
    "01bnn": PRESETS_0V1["01bnn"]["majority"],
    "sigmoid": Published("0.9075", _FILES),
    "binarized": Published("0.879", _LIKE_IT),
}
"""Accuracies of ensembles on the test images of CIFAR-10, class 0 against 1."""

HOP_SKIP_JUMP_0V1 = {
    **_of(_FILES, {"mlp01": "1.159", "sigmoid": "1.054"}),
    **_of(_LIKE_IT, {"binarized": "0.963"}),
    **_of(_FILES, {"authors": "1.159"}),
}
"""Median L2 of HopSkipJump, 40 iterations, on CIFAR-10, class 0 against 1."""

HOP_SKIP_JUMP_PAIRS = {
    **_of(_FILES, {"mlp01": "1.055, largest on 23 of 45", "sigmoid": "0.899"}),
    **_of(_LIKE_IT, {"binarized": "0.983"}),
}
"""Mean over the 45 pairs of CIFAR-10's classes of the same median."""

WHITE_BOX_0V1 = {
    **_of(_FILES, {"mlp01": "0.269", "sigmoid": "0.0040"}),
    **_of(_LIKE_IT, {"binarized": "0.0010"}),
    **_of(_FILES, {"authors": "0.269"}),
}
"""Accuracy under PGD, Linf 16/255, 20 steps, on CIFAR-10, class 0 against 1."""

_VARIED: dict[str, dict[float, str]] = {
    "rows": {
        0.05: ".771 / .780",
        0.25: ".819 / .812",
        0.5: ".852 / .816",
        0.75: ".861 / .817",
        0.9: ".862 / .818",
    },
    "features": {64: ".854 / .830", 128: ".861 / .817", 256: ".872 / .835"},
    "iterations": {
        1000: ".862 / .817",
        2000: ".874 / .825",
        4000: ".887 / .827",
        8000: ".896 / .825",
    },
    "step": {
        0.05: ".830 / .784",
        0.1: ".862 / .822",
        0.2: ".873 / .830",
        0.3: ".868 / .814",
        0.5: ".838 / .823",
    },
}
SENSITIVITY_0V1 = {
    (setting, value): Published(text, _SENSITIVITY)
    for setting, texts in _VARIED.items()
    for value, text in texts.items()
}
"""A vote's accuracy on training and test images, by what was varied and its value."""

_ABSTRACT_A = "abstract of paper A"
_ARXIV_2009 = "arXiv 2009.09803, CIFAR-10"

SUBSTITUTE_0V1 = {
    **_of(
        f"{_ARXIV_2009}; {_ABSTRACT_A}",
        {
            "mlp01-blind": ".58 at .0625, .40 at .125",
            "sigmoid": ".193 at .0625, about 0 at .125",
        },
    ),
    **_of(_ABSTRACT_A, {"binarized": "about 0 at .125"}),
}
"""Accuracies on the adversaries of a substitute, on CIFAR-10, class 0 against 1."""

_ABSTRACT_2020 = "abstract of the 2020 version of paper B"
_OTHERS = "others' evaluation of the authors' network (docs/papers.md, B6)"
_LIST = "AutoAttack's evaluation of the authors' networks (docs/papers.md, B6)"

_NAMES = "natural", STRONGEST, PAPER

CIFAR10_LINF = {
    "SENSE": {
        **_of(_ABSTRACT_2020, {"natural": "0.9151", PAPER: "0.6517"}),
        **_of(f"{_OTHERS}, AutoAttack", {STRONGEST: "0.342"}),
        **_of(_OTHERS, {"pgd_20": "0.620", "cw_20": "0.599"}),
    },
    **{
        method: _of(_LIST, dict(zip(_NAMES, texts, strict=True)))
        for method, texts in {
            "TRADES": ("0.8492", "0.5308", "0.5643"),
            "PGD": ("0.8714", "0.4404", "0.4704"),
            "MMA": ("0.8436", "0.4144", "0.4718"),
            "FAT": ("0.8452", "0.5351", "0.5436"),
        }.items()
    },
}
"""Accuracies on CIFAR-10 in Linf, 8/255, by training method and row of results.

PAPER is what the method's paper reports, each by its own attack; STRONGEST is
AutoAttack's number.
"""

MNIST_LINF = {
    "TRADES": _of(_LIST, {"natural": "0.9948", STRONGEST: "0.9281"}),
    "MMA": _of(_LIST, {"natural": "0.9895", STRONGEST: "0.9140"}),
    "PGD": _of(_LIST, {"natural": "0.9853", STRONGEST: "0.8850"}),
}
"""Accuracies on MNIST in Linf, .3, by training method and row of results."""
