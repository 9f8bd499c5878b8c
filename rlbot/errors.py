"""Errors whose message is all a person needs: every command prints it as one line and leaves with ``exit_code``."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line that names it and says what to do."""

    exit_code = 2


class TryAgainError(RuntimeError):
    """The machine had too little of something; the run can be resumed."""

    exit_code = 75


class BrokenTrainingError(RuntimeError):
    """The loss or the gradients were NaN or infinite too often in a row."""

    exit_code = 1
