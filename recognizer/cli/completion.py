"""Let the shell complete commands, options, files and names of models."""

from __future__ import annotations

import argparse

from recognizer.errors import ConfigError

EXAMPLE = "recognizer completion bash >> ~/.bashrc"
FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/recognizer.fish"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    places = ", ".join(f"{shell}: {place}" for shell, place in FILES.items())
    parser.epilog = f"Append what it prints to the file that your shell reads ({places}) and open a new shell."
    parser.add_argument("shell", choices=tuple(FILES), help="the shell to print the lines for")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    try:
        import argcomplete
    except ImportError:
        raise ConfigError("completion: argcomplete is not installed; pip install 'recognizer[completion]'") from None
    print(argcomplete.shellcode(["recognizer"], shell=options.shell))
    return 0
