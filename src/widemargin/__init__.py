"""Large-scale learning with margins and gradients; every fit ends with a certificate."""

from widemargin._version import __version__ as __version__
