"""Draw charts for whoever started this process: `python -P apps/core/charts/drawing`."""

import sys
from importlib import import_module
from pathlib import Path

# This package by its own name: by its whole name it would bring Django into a process that only draws.
sys.path[0:1] = []
sys.path.append(str(Path(__file__).parent.parent))

if __name__ == "__main__":
    import_module("drawing").main()
