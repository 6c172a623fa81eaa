"""Named errors. Every message says what was found, what was expected and what to do."""

from typing import Any


class RompError(Exception):
    """Base of everything that `romp_core` raises on bad input."""


class ImageError(RompError, ValueError):
    """An array or file that is not a usable image."""


class CheckpointError(RompError, ValueError):
    """A weights file that cannot be loaded completely and exactly, or not be written."""


class BodyFileError(RompError, ValueError):
    """A file that does not hold an SMPL-form body."""


class UnsafePickleError(BodyFileError):
    """A pickle that asks for something other than arrays; nothing of it was run."""


class ConfigError(RompError, ValueError):
    """A configuration with an unknown key or an unusable value."""


class DataError(RompError, ValueError):
    """A data set or recording that cannot be read."""


class RendererError(RompError, RuntimeError):
    """No off-screen OpenGL context can be had."""


class TrainingError(RompError, RuntimeError):
    """A training run that cannot go on."""


class ExportError(RompError, RuntimeError):
    """An exported network that does not answer as the original does."""


def expect(fits: bool, name: str, found: Any, expected: str) -> None:
    """Refuse an option's value that does not fit.

    Args:
        fits: whether it does.
        name: of the option.
        found: its value.
        expected: what would fit, in words.

    Raises:
        ConfigError: it does not.
    """
    if not fits:
        raise ConfigError(f"{name} is {found!r}; expected {expected}")


def missing_extra(what: str, extra: str) -> ConfigError:
    """The error for a package that only some users need.

    Args:
        what: what it is wanted for, and its name: "plots are drawn by matplotlib".
        extra: of this package's extras the one that brings it.
    """
    return ConfigError(
        f"{what}, which is not installed: pip install '.[{extra}]' in the folder of this "
        "package's source"
    )
