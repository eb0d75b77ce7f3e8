"""How networks compute: threads, data types, kernels, CUDA graphs, transfers to and from a GPU."""
