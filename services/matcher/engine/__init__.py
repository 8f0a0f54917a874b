"""The engine: commands in, facts out, and facts folded into funds. No clock, no random source, no IO, no framework."""
