"""How and where networks compute: threads, data types, kernels, CUDA graphs, copies."""
