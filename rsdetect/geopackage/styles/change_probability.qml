<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" classificationMin="0" classificationMax="1" nodataColor="$not_observed">
      <rastershader>
        <!-- The file's scale of 0.01 is applied before: values are 0 to 1. Bounds lie between whole percents. -->
        <colorrampshader colorRampType="DISCRETE" classificationMode="1" clip="0" minimumValue="0" maximumValue="1">
$items
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
</qgis>
