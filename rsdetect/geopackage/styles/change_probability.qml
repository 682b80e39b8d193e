<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" classificationMin="0" classificationMax="1">
      <rastershader>
        <!-- The file's scale of 0.01 is applied before: values are 0 to 1. Bounds lie between whole percents. -->
        <colorrampshader colorRampType="DISCRETE" classificationMode="1" clip="0" minimumValue="0" maximumValue="1">
            <item value="0.145" color="#ffffff" alpha="0" label="under 15 %"/>
            <item value="0.245" color="#fff8a0" alpha="110" label="15 to 25 %"/>
            <item value="0.345" color="#f7e425" alpha="255" label="25 to 35 %"/>
            <item value="0.495" color="#fdac31" alpha="255" label="35 to 50 %"/>
            <item value="0.645" color="#ed7653" alpha="255" label="50 to 65 %"/>
            <item value="0.795" color="#c43e7f" alpha="255" label="65 to 80 %"/>
            <item value="inf" color="#7e03a8" alpha="255" label="80 % and more"/>
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
</qgis>
