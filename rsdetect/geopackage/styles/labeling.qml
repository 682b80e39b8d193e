<labeling type="simple">
<settings calloutType="simple">
<text-style isExpression="1" fieldName="$expression" fontFamily="Sans" fontSize="8" fontSizeUnit="Point" fontWeight="50" textColor="20,20,20,255" textOpacity="1" namedStyle="" multilineHeight="1">
<text-buffer bufferDraw="1" bufferSize="0.9" bufferSizeUnits="MM" bufferColor="255,255,255,230" bufferOpacity="1" bufferNoFill="1" bufferJoinStyle="128"/>
<background shapeDraw="0"/>
<shadow shadowDraw="0"/>
</text-style>
<placement placement="4" fitInPolygonOnly="1" centroidInside="1" centroidWhole="0" priority="5" dist="0" distUnits="MM" polygonPlacementFlags="2"/>
<rendering drawLabels="1" displayAll="0" scaleVisibility="0" labelPerPart="0" obstacle="0" upsidedownLabels="0"/>
</settings>
</labeling>
