"""Salts of the simulation's random numbers: one for each use, and no two uses share one."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Salt(IntEnum):
    """Salt of a hash or noise field, one for each use.

    A use that is drawn several times (by date, band or octave) distinguishes them by the `part` of
    `noise.hashed`, so that no sum of two numbers can equal a third. The numbers are permanent: another value
    would change all scenes.
    """

    # Districts, their borders and roads
    DISTRICT_KEY = 1
    DISTRICT_TOWNISH = 2
    DISTRICT_TOWN = 3
    DISTRICT_URBAN = 4
    DISTRICT_RURAL = 5
    DISTRICT_CONVERTS = 6
    DISTRICT_TARGET = 7
    DISTRICT_CUT_ANGLE = 8
    DISTRICT_CUT_OFFSET = 9
    DISTRICT_ANGLE = 10
    DISTRICT_BENDS = 11
    DISTRICT_BEND_RADIUS = 12
    DISTRICT_BEND_SIDE = 13
    DISTRICT_SOUTH = 14
    DISTRICT_EAST = 15
    DISTRICT_SIZE = 16
    DISTRICT_BUSY = 17
    BORDER_WANDER_SOUTH = 18
    BORDER_WANDER_EAST = 19
    BORDER_STRAY = 20
    ROAD_RANK = 21
    ROAD_RENEWED = 22
    ROAD_SURFACE = 23
    ROAD_RESURFACED = 24
    TRAIN = 25
    VEHICLE_ON_ROAD = 26
    VEHICLE_ON_STREET = 27
    VEHICLE_IN_PARK = 28
    VEHICLE_TONE_ON_ROAD = 29
    VEHICLE_TONE_ON_STREET = 30
    VEHICLE_TONE_IN_PARK = 31

    # Plots
    PLOT_KEY = 32
    PLOT_OFFSET = 33
    PLOT_BUSY = 34
    PLOT_ENTRY = 35
    PLOT_MEASURE = 36  # parts: length, depth, street
    PLOT_TONE = 37
    GRASS = 38
    SOIL = 39
    SAND = 40
    LEAF = 41
    STRAW = 42
    CONCRETE = 43
    SURFACE = 44
    CROP_TURNED = 45
    CROP_HEADLAND = 46
    CROP_BED_WIDTH = 47
    CROP_BEDS = 48
    CROP_BED_TONE = 49
    CROP_PIVOT = 50
    CROP_FRONT = 51
    CROP_HARVEST = 52
    CROP_STUBBLE = 53
    CROP_BRIGHTNESS = 54
    CROP_BALES = 55
    CROP_BALE = 56
    ORCHARD_GAP = 57
    ORCHARD_OBLONG = 58
    ORCHARD_CROWN = 59
    ORCHARD_BARE = 60
    VINEYARD_GAP = 61
    VINEYARD_TURNED = 62
    MEADOW_MOWN = 63
    MEADOW_SWATH = 64
    LAWN_COVER = 65
    LAWN_BEDS = 66
    LAWN_DRIVE = 67
    LAWN_DRIVE_PLACE = 68
    LAWN_DRIVE_WIDTH = 69
    LAWN_TERRACE = 70
    LAWN_TERRACE_PLACE = 71
    LAWN_TERRACE_WIDTH = 72
    LAWN_POOL = 73
    LAWN_HEDGE = 74
    LAWN_SHEDS = 75
    LAWN_SHED = 76
    LAWN_LOOSE = 77
    LAWN_LOOSE_OBJECT = 78
    RANGE_DRY = 79
    RANGE_PLOT_DRY = 80
    RANGE_COVERED = 81
    FOREST_STAND = 82
    FOREST_PLOT_STAND = 83
    FOREST_PLANTED = 84
    FOREST_CONIFER = 85
    FOREST_UNDERSTORY = 86
    WETLAND_LEVEL = 87
    ASH = 88
    EARTHWORK_HEAPS = 89
    EARTHWORK_HEAP = 90
    EARTHWORK_MACHINE = 91
    SITE_SLAB = 92
    SITE_GOODS = 93
    YARD_HEAPS = 94
    YARD_HEAPED = 95
    YARD_HEAP = 96
    YARD_BOXES = 97
    YARD_BOXED = 98
    YARD_BOX = 99
    SPORTS_COURTS = 100
    SPORTS_RED = 101
    SPORTS_COLOUR = 102
    SOLAR_SPACING = 103
    SOLAR_PANEL = 104
    GREENHOUSE_SPACING = 105
    GREENHOUSE_BAY = 106
    GREENHOUSE_COVER = 107
    STREET_WALK = 108
    FABRIC_MIX = 109

    # Buildings, trees, water, terrain, weather
    ROOF_FIXTURE = 110
    ROOF_SHEET = 111
    TREE_SOUTH = 112
    TREE_EAST = 113
    TREE_TAKEN = 114
    TREE_RADIUS = 115
    TREE_KIND = 116
    TREE_TONE = 117
    TREE_OVAL = 118
    TREE_GROWTH = 119
    TREE_YOUNG = 120
    RIVER = 121
    POND = 122
    FLOOD = 123
    WIND = 124
    SHIP_TURN = 125
    SHIP_LENGTH = 126
    SHIP = 127
    HILLS = 128
    WEATHER = 129
    WEATHER_EXTENT = 130
    WET_PATCHES = 131
    SNOW_PATCHES = 132
    TEXTURE_GRAIN = 133
    TEXTURE_FINE = 134
    TEXTURE_PATCH = 135
    TEXTURE_BROAD = 136
    TEXTURE_LEAVES = 137
    OUTLINE = 138
    OUTLINE_LARGE = 139
    OUTLINE_KEY = 140

    # Air, optics, sensor
    CLOUD = 141
    HAZE = 142
    CIRRUS = 143
    SEAM = 144
    WARP_DOWN = 145
    WARP_RIGHT = 146
    UNEVEN = 147
    TINT = 148
    STRIPE = 149
    BANDING = 150
    DEAD_LINE = 151
    DEAD_LINE_LEVEL = 152
