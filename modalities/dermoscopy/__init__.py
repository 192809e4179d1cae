"""Dermoscopy."""
