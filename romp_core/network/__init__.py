"""The ROMP network: backbones, heads and the maps that they give."""

from romp_core.network.romp import (
    PARAMETER_CHANNELS,
    Maps,
    NetworkConfig,
    RompNetwork,
    build_network,
)

__all__ = ["PARAMETER_CHANNELS", "Maps", "NetworkConfig", "RompNetwork", "build_network"]
