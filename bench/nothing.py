"""An extension that does nothing, to measure ``%load_ext`` itself."""


def load_ipython_extension(_shell: object) -> None:
    """Do nothing."""
