"""The ``rlbot`` command: ``rlbot VERB …`` runs ``scripts/VERB.py``, from any folder."""

import runpy
import sys
from pathlib import Path

SHIPPED = Path(__file__).parent / "_shipped"
ROOT = SHIPPED if SHIPPED.is_dir() else Path(__file__).parents[1]  # installed, or a checkout


def main() -> None:
    """Run the script of the verb given on the command line."""
    scripts = ROOT / "scripts"
    verbs = {file.stem.removesuffix("_bot"): file for file in sorted(scripts.glob("[a-z]*.py"))}
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb not in verbs:
        print(f"usage: rlbot {{{','.join(verbs)}}} ...   (rlbot VERB --help explains each)", file=sys.stderr)
        raise SystemExit(0 if verb in ("-h", "--help") else 2)
    script = str(verbs[verb])
    sys.argv = [script, *sys.argv[2:]]
    sys.path.insert(0, str(scripts))  # as for a script that is run by its path
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
