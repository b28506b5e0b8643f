"""The embedded model: GGUF files that llama.cpp runs in a process beside the kernel."""
