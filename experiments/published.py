"""Results that others published, each with its source, to stand beside ours."""

from typing import NamedTuple

from zeroone_jax.evaluation.plans import PAPER, STRONGEST


class Published(NamedTuple):
    """A result as its authors give it.

    Attributes:
        text: the number, or a range of them.
        source: where it comes from.
    """

    text: str
    source: str


_FILES_2021 = "result files of the authors' 2021 programs"

_SENSITIVITY = "the authors' sensitivity runs of 2020, one vote"
_FILES_2020 = "result files of the authors' 2020 programs, 100 votes"

PRESETS_0V1 = {
    "paper_2021": {
        "vote": Published("0.869 / 0.823", f"{_FILES_2021}, 8 votes"),
        "majority": Published("0.854-0.856", f"{_FILES_2021}, 8 votes"),
    },
    "paper_2020": {
        "vote": Published("0.861 / 0.817", _SENSITIVITY),
        "majority": Published("0.878 (100 votes)", _FILES_2020),
    },
    "scdce": {"majority": Published("0.882 (100 votes)", _FILES_2020)},
    "01bnn": {"majority": Published("0.861 (100 votes)", _FILES_2020)},
    "cebnn": {"majority": Published("0.8675 (100 votes)", _FILES_2020)},
}
"""Accuracies on CIFAR-10, class 0 against 1, by our preset of the same settings:

of a vote on training and test images, and of the majority on test images.
"""

CIFAR10_0V1_MODELS = {
    "mlp01": Published("0.854-0.856", f"{_FILES_2021}, 8 votes"),
    "mlp01-blind": Published("0.878 (100 votes)", _FILES_2020),
    "scdce": Published("0.882 (100 votes)", _FILES_2020),
    "01bnn": Published("0.861 (100 votes)", _FILES_2020),
    "sigmoid": Published("0.9075", f"{_FILES_2021}, 8 votes"),
    "binarized": Published("0.879", f"{_FILES_2021}, 8 votes of a network like it"),
}
"""Accuracies of ensembles on the test images of CIFAR-10, class 0 against 1."""

HOP_SKIP_JUMP_0V1 = {
    "mlp01": Published("1.159", f"{_FILES_2021}, 8 votes"),
    "sigmoid": Published("1.054", f"{_FILES_2021}, 8 votes"),
    "binarized": Published("0.963", f"{_FILES_2021}, 8 votes of a network like it"),
    "authors": Published("1.159", f"{_FILES_2021}, 8 votes"),
}
"""Median L2 of HopSkipJump, 40 iterations, on CIFAR-10, class 0 against 1."""

HOP_SKIP_JUMP_PAIRS = {
    "mlp01": Published("1.055, largest on 23 of 45", f"{_FILES_2021}, 8 votes"),
    "sigmoid": Published("0.899", f"{_FILES_2021}, 8 votes"),
    "binarized": Published("0.983", f"{_FILES_2021}, 8 votes of a network like it"),
}
"""Mean over the 45 pairs of CIFAR-10's classes of the same median."""

WHITE_BOX_0V1 = {
    "mlp01": Published("0.269", f"{_FILES_2021}, 8 votes"),
    "sigmoid": Published("0.0040", f"{_FILES_2021}, 8 votes"),
    "binarized": Published("0.0010", f"{_FILES_2021}, 8 votes of a network like it"),
    "authors": Published("0.269", f"{_FILES_2021}, 8 votes"),
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
    "mlp01-blind": Published(
        ".58 at .0625, .40 at .125", f"{_ARXIV_2009}; {_ABSTRACT_A}"
    ),
    "sigmoid": Published(
        ".193 at .0625, about 0 at .125", f"{_ARXIV_2009}; {_ABSTRACT_A}"
    ),
    "binarized": Published("about 0 at .125", _ABSTRACT_A),
}
"""Accuracies on the adversaries of a substitute, on CIFAR-10, class 0 against 1."""

_ABSTRACT_2020 = "abstract of the 2020 version of paper B"
_OTHERS = "others' evaluation of the authors' network (section B6 of our notes)"
_LIST = "AutoAttack's evaluation of the authors' networks (section B6 of our notes)"

CIFAR10_LINF = {
    "SENSE": {
        "natural": Published("0.9151", _ABSTRACT_2020),
        PAPER: Published("0.6517", _ABSTRACT_2020),
        STRONGEST: Published("0.342", f"{_OTHERS}, AutoAttack"),
        "pgd_20": Published("0.620", _OTHERS),
        "cw_20": Published("0.599", _OTHERS),
    },
    "TRADES": {
        "natural": Published("0.8492", _LIST),
        PAPER: Published("0.5643", _LIST),
        STRONGEST: Published("0.5308", _LIST),
    },
    "PGD": {
        "natural": Published("0.8714", _LIST),
        PAPER: Published("0.4704", _LIST),
        STRONGEST: Published("0.4404", _LIST),
    },
    "MMA": {
        "natural": Published("0.8436", _LIST),
        PAPER: Published("0.4718", _LIST),
        STRONGEST: Published("0.4144", _LIST),
    },
    "FAT": {
        "natural": Published("0.8452", _LIST),
        PAPER: Published("0.5436", _LIST),
        STRONGEST: Published("0.5351", _LIST),
    },
}
"""Accuracies on CIFAR-10 in Linf, 8/255, by training method and row of results.

PAPER is what the method's paper reports, each by its own attack; STRONGEST is
AutoAttack's number.
"""

MNIST_LINF = {
    "TRADES": {
        "natural": Published("0.9948", _LIST),
        STRONGEST: Published("0.9281", _LIST),
    },
    "MMA": {
        "natural": Published("0.9895", _LIST),
        STRONGEST: Published("0.9140", _LIST),
    },
    "PGD": {
        "natural": Published("0.9853", _LIST),
        STRONGEST: Published("0.8850", _LIST),
    },
}
"""Accuracies on MNIST in Linf, .3, by training method and row of results."""
