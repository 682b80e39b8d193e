<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories">
  <pipe>
    <rasterrenderer type="paletted" band="2" opacity="1" alphaBand="-1" nodataColor="$not_observed">
      <colorPalette>
$entries
      </colorPalette>
    </rasterrenderer>
  </pipe>
</qgis>
