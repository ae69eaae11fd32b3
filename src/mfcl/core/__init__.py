"""Basics that know nothing about audio: files, console, threads, random numbers, processes, settings."""
