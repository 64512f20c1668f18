targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the environment; resource names are made of it.')
param environmentName string

@minLength(1)
@description('Region of all resources. It must offer the plan that is chosen.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Name of the resource group; made of the environment name where it is empty.')
param resourceGroupName string = ''

@description('Tags of every resource, beside azd\'s own.')
param extraTags object = {}

// What is backed up, and where to.
@description('Address of the Databricks workspace, as https://adb-1.2.azuredatabricks.net.')
param databricksHost string

@description('Id of the SQL warehouse that reads system.access.audit. Authors are unknown where it is empty.')
param databricksWarehouseId string = ''

@description('HTTPS address of the Git repository, without credentials.')
param gitRemoteUrl string

@description('Branch that holds the backup.')
param gitBranch string = 'main'

@description('Workspace folder that is backed up.')
param backupRoot string = '/Clients'

@description('When the daily backup starts: NCRONTAB with six fields, UTC.')
param backupSchedule string = '0 30 2 * * *'

@description('When the daily verification starts: NCRONTAB with six fields, UTC.')
param verifySchedule string = '0 30 6 * * *'

@description('Share of all notebooks that one run may remove, 0 to 1.')
param deletionGuardShare string = '0.2'

@description('App settings beside those that the template makes; they overrule them.')
param extraAppSettings object = {}

// Who is told.
@description('Addresses that alerts go to, with commas between them.')
param alertEmails string

@description('Who gets the backup\'s own mails: addresses with commas between them, or JSON by kind.')
param mailTo string = ''

@description('Whether Communication Services send the backup\'s mails.')
param communicationServices bool = false

@description('Sender of mails, where they go by SMTP. Communication Services use their own domain.')
param mailFrom string = ''

@description('Where Communication Services keep data.')
param mailDataLocation string = 'Europe'

// The plan.
@allowed([
  'flexConsumption'
  'elasticPremium'
])
@description('Hosting plan of the function app.')
param plan string = 'flexConsumption'

@allowed([
  512
  2048
  4096
])
@description('Memory of one instance on Flex Consumption, MB.')
param instanceMemoryMB int = 2048

@minValue(1)
@maxValue(1000)
@description('Most instances of each group of functions on Flex Consumption. A region may take no fewer than 40.')
param maximumInstanceCount int = 40

@minValue(0)
@description('Instances on Flex Consumption that always wait for HTTP requests, and are paid for.')
param alwaysReadyInstances int = 0

@allowed([
  'EP1'
  'EP2'
  'EP3'
])
@description('Size of an instance on Elastic Premium.')
param premiumSku string = 'EP1'

@minValue(1)
@maxValue(20)
@description('Most instances on Elastic Premium.')
param premiumMaximumInstances int = 4

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
@description('Redundancy of the storage accounts.')
param storageSkuName string = 'Standard_ZRS'

@minValue(1)
@description('Days that audit anchors cannot be changed or removed by anybody, once the policy is locked.')
param anchorRetentionDays int = 365

@description('Whether the anchors\' policy was locked. From then on no deployment may touch it.')
param anchorPolicyLocked bool = false

@minValue(30)
@maxValue(730)
@description('Days that logs, traces and metrics are kept.')
param logRetentionDays int = 90

// Who may reach it.
@description('Client id of the Entra ID app registration that people sign in with. Empty: no sign-in by App Service.')
param authClientId string = ''

@description('Client ids of further programs whose tokens are accepted, with commas between them: pipelines, jobs.')
param authAllowedClientIds string = ''

@description('Whether storage and vault are reached through private endpoints alone.')
param privateNetworking bool = false

@description('Whether the function app, too, is reached through a private endpoint alone. Needs privateNetworking.')
param privateInbound bool = false

@description('Address space of the virtual network.')
param vnetAddressPrefix string = '10.80.0.0/24'

@description('Address space of the app\'s subnet, within the network, a /26 or larger.')
param appSubnetPrefix string = '10.80.0.0/26'

@description('Address space of the private endpoints\' subnet, within the network.')
param endpointSubnetPrefix string = '10.80.0.64/26'

@description('Whether the app rotates tokens in the vault, for which it may write secrets.')
param rotateSecrets bool = false

@description('Object id of whoever puts secrets and packages in place, a group best. Empty: nobody gets a role.')
param operatorPrincipalId string = ''

@allowed([
  'Group'
  'ServicePrincipal'
  'User'
])
@description('What operatorPrincipalId is.')
param operatorPrincipalType string = 'Group'

// When people are told.
@minValue(1)
@maxValue(47)
@description('Hours without a successful run after which the alert fires.')
param noSuccessHours int = 26

@minValue(1)
@description('Milliseconds within which 95 of 100 answers are meant to come.')
param answerTargetMilliseconds int = 2000

@minValue(0)
@description('Days before a credential expires at which the alert fires.')
param credentialWarningDays int = 14

@minValue(1)
@description('Gigabytes of the repository from which the alert fires; Azure Repos advises to stay below 10.')
param repositorySizeGigabytes int = 8

var abbrs = loadJsonContent('./abbreviations.json')
var resourceToken = toLower(uniqueString(subscription().id, environmentName, location))
var tags = union(extraTags, { 'azd-env-name': environmentName })
var functionAppName = '${abbrs.webSitesFunctions}backup-${resourceToken}'
var isFlex = plan == 'flexConsumption'
var packageContainerName = 'app-package'
var anchorContainerName = 'audit-anchors'

resource rg 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: !empty(resourceGroupName) ? resourceGroupName : '${abbrs.resourcesResourceGroups}${environmentName}'
  location: location
  tags: tags
}

module identities './app/identities.bicep' = {
  name: 'identity-resources'
  scope: rg
  params: {
    prefix: abbrs.managedIdentityUserAssignedIdentities
    resourceToken: resourceToken
    location: location
    tags: tags
  }
}

module monitoring './app/monitoring.bicep' = {
  name: 'monitoring-resources'
  scope: rg
  params: {
    workspaceName: '${abbrs.operationalInsightsWorkspaces}${resourceToken}'
    componentName: '${abbrs.insightsComponents}${resourceToken}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module network './app/network.bicep' = if (privateNetworking) {
  name: 'network-resources'
  scope: rg
  params: {
    vnetName: '${abbrs.networkVirtualNetworks}${resourceToken}'
    securityGroupPrefix: '${abbrs.networkNetworkSecurityGroups}${resourceToken}'
    location: location
    tags: tags
    addressPrefix: vnetAddressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    appSubnetDelegation: isFlex ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
  }
}

module storage './app/storage.bicep' = {
  name: 'storage-resources'
  scope: rg
  params: {
    stateAccountName: '${abbrs.storageStorageAccounts}${resourceToken}'
    anchorAccountName: '${abbrs.storageStorageAccounts}a${resourceToken}'
    packageAccountName: '${abbrs.storageStorageAccounts}p${resourceToken}'
    location: location
    tags: tags
    skuName: storageSkuName
    packageContainerName: packageContainerName
    anchorContainerName: anchorContainerName
    anchorRetentionDays: anchorRetentionDays
    anchorPolicyLocked: anchorPolicyLocked
    workspaceResourceId: monitoring.outputs.workspaceResourceId
    endpointSubnetResourceId: privateNetworking ? network!.outputs.endpointSubnetResourceId : ''
    blobZoneResourceId: privateNetworking ? network!.outputs.blobZoneResourceId : ''
    queueZoneResourceId: privateNetworking ? network!.outputs.queueZoneResourceId : ''
    tableZoneResourceId: privateNetworking ? network!.outputs.tableZoneResourceId : ''
  }
}

module vault './app/vault.bicep' = {
  name: 'vault-resources'
  scope: rg
  params: {
    name: '${abbrs.keyVaultVaults}${resourceToken}'
    location: location
    tags: tags
    workspaceResourceId: monitoring.outputs.workspaceResourceId
    endpointSubnetResourceId: privateNetworking ? network!.outputs.endpointSubnetResourceId : ''
    zoneResourceId: privateNetworking ? network!.outputs.vaultZoneResourceId : ''
  }
}

module mail './app/mail.bicep' = if (communicationServices) {
  name: 'mail-resources'
  scope: rg
  params: {
    communicationName: '${abbrs.communicationServices}${resourceToken}'
    emailName: '${abbrs.communicationEmailServices}${resourceToken}'
    tags: tags
    dataLocation: mailDataLocation
    backupPrincipalId: identities.outputs.backupPrincipalId
  }
}

module rbac './app/rbac.bicep' = {
  name: 'role-assignments'
  scope: rg
  params: {
    stateAccountName: storage.outputs.stateAccountName
    anchorAccountName: storage.outputs.anchorAccountName
    anchorContainerName: anchorContainerName
    packageAccountName: storage.outputs.packageAccountName
    packageContainerName: packageContainerName
    isFlex: isFlex
    vaultName: vault.outputs.name
    componentName: monitoring.outputs.componentName
    backupPrincipalId: identities.outputs.backupPrincipalId
    deployPrincipalId: identities.outputs.deployPrincipalId
    rotateSecrets: rotateSecrets
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
}

module api './app/api.bicep' = {
  name: 'api-resources'
  scope: rg
  dependsOn: [
    rbac
  ]
  params: {
    name: functionAppName
    planName: '${abbrs.webServerFarms}${resourceToken}'
    location: location
    tags: tags
    plan: plan
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    premiumSku: premiumSku
    premiumMaximumInstances: premiumMaximumInstances
    backupIdentityResourceId: identities.outputs.backupResourceId
    backupIdentityClientId: identities.outputs.backupClientId
    restoreIdentityResourceId: identities.outputs.restoreResourceId
    restoreIdentityClientId: identities.outputs.restoreClientId
    signInIdentityResourceId: identities.outputs.signInResourceId
    signInIdentityClientId: identities.outputs.signInClientId
    deployIdentityResourceId: identities.outputs.deployResourceId
    blobEndpoint: storage.outputs.blobEndpoint
    queueEndpoint: storage.outputs.queueEndpoint
    tableEndpoint: storage.outputs.tableEndpoint
    packageEndpoint: storage.outputs.packageEndpoint
    packageContainerName: packageContainerName
    anchorEndpoint: storage.outputs.anchorEndpoint
    anchorContainerName: anchorContainerName
    vaultUri: vault.outputs.uri
    connectionString: monitoring.outputs.connectionString
    databricksHost: databricksHost
    databricksWarehouseId: databricksWarehouseId
    gitRemoteUrl: gitRemoteUrl
    gitBranch: gitBranch
    backupRoot: backupRoot
    backupSchedule: backupSchedule
    verifySchedule: verifySchedule
    deletionGuardShare: deletionGuardShare
    heartbeatHours: noSuccessHours
    mailTo: mailTo
    mailFrom: communicationServices ? mail!.outputs.sender : mailFrom
    mailEndpoint: communicationServices ? mail!.outputs.endpoint : ''
    authClientId: authClientId
    authAllowedClientIds: authAllowedClientIds
    extraAppSettings: extraAppSettings
    privateInbound: privateInbound
    appSubnetResourceId: privateNetworking ? network!.outputs.appSubnetResourceId : ''
    endpointSubnetResourceId: privateNetworking ? network!.outputs.endpointSubnetResourceId : ''
    siteZoneResourceId: privateNetworking ? network!.outputs.siteZoneResourceId : ''
  }
}

module alerts './app/alerts.bicep' = {
  name: 'alert-resources'
  scope: rg
  params: {
    actionGroupName: '${abbrs.insightsActionGroups}backup-${resourceToken}'
    rulePrefix: '${abbrs.insightsScheduledQueryRules}${resourceToken}-'
    location: location
    tags: tags
    componentResourceId: monitoring.outputs.componentResourceId
    workspaceResourceId: monitoring.outputs.workspaceResourceId
    emails: alertEmails
    noSuccessHours: noSuccessHours
    answerTargetMilliseconds: answerTargetMilliseconds
    credentialWarningDays: credentialWarningDays
    repositorySizeGigabytes: repositorySizeGigabytes
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = rg.name
output AZURE_FUNCTION_NAME string = api.outputs.name
output BACKUP_URL string = 'https://${api.outputs.hostName}'
output KEY_VAULT_URI string = vault.outputs.uri
output BACKUP_IDENTITY_CLIENT_ID string = identities.outputs.backupClientId
output BACKUP_IDENTITY_PRINCIPAL_ID string = identities.outputs.backupPrincipalId
output RESTORE_IDENTITY_CLIENT_ID string = identities.outputs.restoreClientId
output SIGN_IN_IDENTITY_PRINCIPAL_ID string = identities.outputs.signInPrincipalId
output PACKAGE_URL string = '${storage.outputs.packageEndpoint}${packageContainerName}/notebook-backup.zip'
output ANCHOR_ACCOUNT string = storage.outputs.anchorAccountName
output ANCHOR_CONTAINER string = anchorContainerName
