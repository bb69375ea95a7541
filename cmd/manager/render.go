package main

func renderCommand([]string) error { return nil }
