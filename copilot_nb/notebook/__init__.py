"""The face towards IPython: magics, completion, live output."""
