"""Basics that know nothing about audio: files, console, progress, threads, random numbers, processes, settings."""
