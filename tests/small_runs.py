"""What tests of one small experiment share: the file `small.yaml` of this folder as a game, and as a command."""

from typing import Any

from typer.testing import CliRunner

from nashgossip.games import Game
from nashgossip.runners import build_game, command, load_experiment


def small(*settings: str) -> Game:
    """The game of `small.yaml` with other settings."""
    game = build_game(load_experiment("small.yaml", list(settings)))
    assert isinstance(game, Game)
    return game


def run(*arguments: str) -> Any:
    """What `nashgossip run small.yaml` with more arguments gave back."""
    return CliRunner().invoke(command.app, ["run", "small.yaml", *arguments], catch_exceptions=False)
