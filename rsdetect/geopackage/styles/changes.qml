<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories" labelsEnabled="1">
$renderer
$labeling
$fields
  <previewExpression>'Change ' || "change_id"</previewExpression>
  <mapTip><![CDATA[<b>Change [% "change_id" %]</b>
<table>
$rows
</table>]]></mapTip>
</qgis>
