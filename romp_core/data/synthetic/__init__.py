"""Synthetic people: endless pictures whose annotations are exact."""

from romp_core.data.synthetic.config import SyntheticConfig, preset
from romp_core.data.synthetic.disk import RenderedPeople, render_to_disk
from romp_core.data.synthetic.generator import SyntheticPeople

__all__ = ["RenderedPeople", "SyntheticConfig", "SyntheticPeople", "preset", "render_to_disk"]
