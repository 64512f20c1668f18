// Where metrics, traces and logs go, and the workbook that shows them.
@description('Name of the Log Analytics workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param componentName string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Days that data is kept.')
param retentionDays int

module workspace 'br/public:avm/res/operational-insights/workspace:0.16.1' = {
  name: 'log-analytics'
  params: {
    name: workspaceName
    location: location
    tags: tags
    skuName: 'PerGB2018'
    dataRetention: retentionDays
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

module component 'br/public:avm/res/insights/component:0.8.0' = {
  name: 'application-insights'
  params: {
    name: componentName
    location: location
    tags: tags
    workspaceResourceId: workspace.outputs.resourceId
    applicationType: 'web'
    kind: 'web'
    disableLocalAuth: true
    disableIpMasking: false
    samplingPercentage: 100
  }
}

// No verified module makes a workbook.
resource backupWorkbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'notebook-backup')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Notebook backup'
    category: 'workbook'
    sourceId: component.outputs.resourceId
    serializedData: loadTextContent('../workbook.json')
    version: 'Notebook/1.0'
  }
}

output workspaceResourceId string = workspace.outputs.resourceId
output componentName string = component.outputs.name
output componentResourceId string = component.outputs.resourceId
output connectionString string = component.outputs.connectionString
