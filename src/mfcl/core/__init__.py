"""What every room stands on: files, console, threads, random numbers, processes, the machine."""
