"""Where the cells of a comparison run: in this kernel, in the threads or processes of an executor, on Dask workers."""
