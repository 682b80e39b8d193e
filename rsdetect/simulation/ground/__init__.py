"""What is there: land, plots, buildings, roads, trees and water, before and after."""
