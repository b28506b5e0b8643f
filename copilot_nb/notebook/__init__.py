"""The IPython front end: magics, completion, live output."""
