"""Simulated ground: land, plots, buildings, roads, trees and water, before and after."""
